// SPDX-License-Identifier: Apache-2.0
// The options of a bind, volume or tmpfs (spec §12.4) and the paths in it. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::runtime {

struct MountOptions {
  uint64_t attributes = 0;   // MOUNT_ATTR_*
  uint64_t propagation = 0;  // MS_PRIVATE, MS_SLAVE or MS_SHARED
  bool create = true;        // bind: make a missing source
  bool copy_up = true;       // volume: fill an empty one from the image
  std::string tmpfs_data{};  // "mode=1777,size=64m"
};

// kInvalidArgument with `field`.
StatusOr<MountOptions> ParseMountOptions(Mount::Kind kind, std::string_view options,
                                         std::string_view field);

// How errors name a mount: volumes["/src"], named_volumes["name"], tmpfs["/path"].
std::string MountField(const Mount& mount);

// An absolute path without ".", ".." and double slashes; ".." stops at the root. nullopt if
// it is not absolute, too long, not UTF-8 or has control characters. "/" stays "/".
std::optional<std::string> CleanPath(std::string_view path);
// Component-wise: "/a/b" is within "/a" and "/a", not within "/a/bc".
bool IsWithin(std::string_view path, std::string_view directory);

}  // namespace minibox::runtime
