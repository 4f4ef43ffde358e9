// SPDX-License-Identifier: Apache-2.0
// The monitor of one container: the parent of its PID 1, from the launch to the recorded exit.
#pragma once

namespace minibox::init {

// `control` is the socket to the caller of the launch. Returns the exit status of the process,
// which says nothing about the workload.
int RunMonitor(int control);

}  // namespace minibox::init
