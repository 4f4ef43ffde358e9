// SPDX-License-Identifier: Apache-2.0
#include "minibox/version.h"

#include <algorithm>
#include <array>

#define MBX_STRINGIFY_INNER(x) #x
#define MBX_STRINGIFY(x) MBX_STRINGIFY_INNER(x)

namespace minibox {
inline namespace v1 {
namespace {
// Names of what was added after 0.1; a program that runs with an older library asks for them.
constexpr std::array<std::string_view, 0> kFeatures{};
}  // namespace

std::string_view LibraryVersion() {
  return MBX_STRINGIFY(MINIBOX_VERSION_MAJOR) "." MBX_STRINGIFY(
      MINIBOX_VERSION_MINOR) "." MBX_STRINGIFY(MINIBOX_VERSION_PATCH);
}

bool HasFeature(std::string_view name) {
  return std::find(kFeatures.begin(), kFeatures.end(), name) != kFeatures.end();
}

}  // namespace v1
}  // namespace minibox
