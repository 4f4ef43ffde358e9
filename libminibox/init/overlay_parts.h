// SPDX-License-Identifier: Apache-2.0
// What the ways to mount the root's overlay have in common, and the ways of older kernels.
#pragma once

#include <stdint.h>

#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// A directory of the root below `base`; -1 and errno.
int OpenLayer(int base, const char* name);

// Overlayfs acts in its upper directory with the ids of its mounter, which must be ids of the
// map: the container's root, that is. While this lives the mounter has them.
class MounterIds {
 public:
  MounterIds(bool mapped, uint32_t id);
  ~MounterIds();
  MounterIds(const MounterIds&) = delete;
  MounterIds& operator=(const MounterIds&) = delete;

 private:
  const bool mapped_;
};

// Fails with errno and what the kernel has to say about the context `fs`.
bool FailOverlay(int fs, const char* call, Failure& failure);

// The options that keep the upper directory a valid layer diff, then the mount, detached.
bool CreateOverlay(const Plan& plan, int fs, int* root, Failure& failure);

// The same from path strings, for which `base` must be attached: done by a child in a mount
// namespace of its own. 6.5 takes each directory separately; before, all must fit on a page.
bool MountRootByPaths(const Plan& plan, int base, int* root, Failure& failure);

}  // namespace minibox::init
