// SPDX-License-Identifier: Apache-2.0
// PID 1 of a container, from its creation to its end.
#pragma once

#include "init/plan.h"
#include "init/sys.h"

namespace minibox::init {

struct Pid1Start {
  const Plan* plan;
  int monitor;              // socket to the monitor
  const int* cgroup_tasks;  // where "0" is written to join, plan->fds.cgroup_tasks of them
  sys::Limit nofile;        // what the workload gets unless the plan says
  const void* message;      // the launch message, for giving its memory back
  size_t message_size;
  Arena* arena;
};

// Sets the container up, waits for its release, starts the workload and looks after it; or,
// without plan.init, becomes it.
[[noreturn]] void RunPid1(const Pid1Start& start);

}  // namespace minibox::init
