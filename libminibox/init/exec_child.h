// SPDX-License-Identifier: Apache-2.0
// The process of an exec between its creation in the container's pid namespace and exec(2).
#pragma once

#include "init/launch_input.h"
#include "init/sys.h"

namespace minibox::init {

struct ExecChildStart {
  const LaunchInput* input;
  int agent;          // socket to the agent
  sys::Limit nofile;  // what the command gets unless the plan says
};

// Joins the container's groups and, once the agent says so, its namespaces, and becomes the
// command (spec §12.14). What fails is told to the agent.
[[noreturn]] void RunExecChild(const ExecChildStart& start);

}  // namespace minibox::init
