// SPDX-License-Identifier: Apache-2.0
// The container's mounts, by PID 1. First every file system is made, detached, while the
// monitor still builds the root; then all are attached in the order of the plan.
#pragma once

#include "init/cgroup_hierarchies.h"
#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// One detached mount per entry of plan.mounts in `trees`, -1 for what the monitor sends and
// cgroup (made in place).
bool CreateMounts(const Plan& plan, int* trees, Failure& failure);

// Attaches them inside `root`, making targets that are missing. Closes the trees.
bool AttachMounts(const Plan& plan, int root, int* trees, const Hierarchies& hierarchies,
                  Failure& failure);

// Detached mounts of file systems; -1 and errno. `options`: "size=1m,mode=755".
int MakeFileSystem(const char* type, const char* options, uint64_t attributes);

}  // namespace minibox::init
