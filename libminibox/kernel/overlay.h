// SPDX-License-Identifier: Apache-2.0
// An overlay file system as a detached mount, built from descriptors, visible in no mount
// namespace: for reading and writing the merged view through a RootDir. It goes away with
// the descriptor. Containers mount theirs in minibox-init.
#pragma once

#include <string>
#include <vector>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::kernel {

struct OverlaySpec {
  std::vector<int> lowers{};  // O_PATH or O_RDONLY directories, nearest first; at least one
  int upper = -1, work = -1;  // both or neither (read-only); on one file system
};

// How the kernel is told its layers. What it cannot do fails with sys_errno() EINVAL.
enum class OverlayLayers {
  kDescriptors,  // 6.13: fsconfig takes descriptors
  kAppended,     // 6.8: "lowerdir+" takes one name at a time, so their number is unlimited
  kOption,       // one "lowerdir" option of at most 255 bytes: some fifteen layers
};

// redirect_dir=off,metacopy=off,index=off, so the upper is always a complete layer diff.
// The mount is nosuid, nodev and noexec: nothing is run from it. Uses fsconfig descriptors,
// else lowerdir+ with /proc/self/fd names, else the string form.
StatusOr<core::Fd> MountOverlay(const OverlaySpec& spec);
// The same in one way only.
StatusOr<core::Fd> MountOverlay(const OverlaySpec& spec, OverlayLayers layers);

}  // namespace minibox::kernel
