// SPDX-License-Identifier: Apache-2.0
// The program minibox-init, as part of this one.
#pragma once

#include <string_view>

namespace minibox::init {

std::string_view EmbeddedInit();

}  // namespace minibox::init
