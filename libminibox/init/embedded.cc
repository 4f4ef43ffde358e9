// SPDX-License-Identifier: Apache-2.0
#include "init/embedded.h"

extern "C" {
extern const char minibox_init_begin[] __attribute__((visibility("hidden")));
extern const char minibox_init_end[] __attribute__((visibility("hidden")));
}

namespace minibox::init {

std::string_view EmbeddedInit() {
  return {minibox_init_begin, static_cast<size_t>(minibox_init_end - minibox_init_begin)};
}

}  // namespace minibox::init
