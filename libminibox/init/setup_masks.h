// SPDX-License-Identifier: Apache-2.0
// Paths of the kernel's file systems that the workload must not read or write (spec §12.4).
#pragma once

#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// What masks are cloned from: a tmpfs with an empty file and an empty directory. *source is the
// detached mount.
bool PrepareMasks(int* source, Failure& failure);

// Makes paths below `root` read-only and masks others; absent ones are skipped. `root` is
// mounted over "/".
bool MaskPaths(const Plan& plan, int root, int source, Failure& failure);

}  // namespace minibox::init
