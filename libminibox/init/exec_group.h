// SPDX-License-Identifier: Apache-2.0
// The control group that only an exec and its descendants are in, inside the container's own.
#pragma once

#include <stdint.h>

namespace minibox::init {

struct ExecGroup {
  int parent = -1;  // the container's group
  int group = -1;   // -1: there is none
  const char* name = "";
};

// SIGKILL to every process in it; returns when none is left. What is frozen with the container
// ends when that is thawed.
void KillExecGroup(const ExecGroup& group);

// After the exec has ended: what it has left running belongs to the container from now on.
void DissolveExecGroup(const ExecGroup& group);

}  // namespace minibox::init
