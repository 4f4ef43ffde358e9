// SPDX-License-Identifier: Apache-2.0
// The launch message as the monitor has received it.
#pragma once

#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

struct LaunchInput {
  Plan plan;
  Arena arena;
  void* message = nullptr;
  size_t message_size = 0;

  // Owned by the process; -1 if not sent.
  int data_root = -1, container_dir = -1, run_dir = -1, capture = -1, oom_events = -1,
      cgroup_v2 = -1, exec_target = -1, exec_parent = -1, exec_group = -1, join = -1, freezer = -1;
  const int* cgroup_tasks = nullptr;
  const int* binds = nullptr;
  const int* held = nullptr;

  // Everything that only the launch needs.
  void Release();
};

// `type`: kLaunch or kExec.
bool ReceiveLaunch(int control, Message type, LaunchInput* input, Failure& failure);

}  // namespace minibox::init
