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

// redirect_dir=off,metacopy=off,index=off, so the upper is always a complete layer diff.
// Uses fsconfig descriptors, else lowerdir+ with /proc/self/fd names, else the string form.
StatusOr<core::Fd> MountOverlay(const OverlaySpec& spec);

}  // namespace minibox::kernel
