// SPDX-License-Identifier: Apache-2.0
// The mounts that only the initial user namespace may make, by the monitor, detached: the
// container's root and its binds. PID 1 attaches them.
#pragma once

#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// An overlay of the plan's directories below `data_root`, seen through the id map of
// `user_namespace` (-1: as they are). *root is the detached mount.
bool MountRoot(const Plan& plan, int data_root, int user_namespace, int* root, Failure& failure);

// The bind `mount` of the descriptor `source` as a detached mount in *tree.
bool CloneBind(const PlannedMount& mount, int source, int user_namespace, int* tree,
               Failure& failure);

}  // namespace minibox::init
