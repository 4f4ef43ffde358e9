// SPDX-License-Identifier: Apache-2.0
// The parent of one exec, outside the container: starts its process, tells the caller how it
// ended, and kills it with all its descendants when the caller is gone.
#pragma once

namespace minibox::init {

// `control` is the socket to the caller. Returns the exit status of the agent, which says nothing
// about the command.
int RunExecAgent(int control);

}  // namespace minibox::init
