// SPDX-License-Identifier: Apache-2.0
// The mount table of the calling thread, and unmounting what a crash left behind.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::kernel {

struct MountEntry {
  int id = 0, parent_id = 0;
  std::string root{};           // the part of the file system that is mounted, "/" all of it
  std::string target{};         // where
  std::string type{};           // "ext4"
  std::string source{};         // "/dev/vda"
  std::string options{};        // of the mount: "rw,nosuid"
  std::string super_options{};  // of the file system: "rw,size=64k"
};

// In the order of mounting. `file` in the format of /proc/<pid>/mountinfo; a thread of the host
// program may live in a mount namespace of its own.
StatusOr<std::vector<MountEntry>> ReadMountTable(
    const std::string& file = "/proc/thread-self/mountinfo");
// Those whose target is `path`, an absolute path without links, or below.
StatusOr<std::vector<MountEntry>> MountsBelow(std::string_view path);
// Detaches every mount at or below `path`, the latest first; none is OK. Carries on after a
// failure and returns the first.
Status UnmountTree(std::string_view path);

}  // namespace minibox::kernel
