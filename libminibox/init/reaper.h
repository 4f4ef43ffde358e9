// SPDX-License-Identifier: Apache-2.0
// What PID 1 does while the workload runs (spec §12.12).
#pragma once

#include <sys/types.h>

namespace minibox::init {

// Forwards signals to `workload`, its child, and reaps orphans, until the workload has ended;
// tells the monitor and exits with the same status, which ends whatever is left. All signals
// are blocked.
[[noreturn]] void ReapUntilExit(pid_t workload, int monitor);

}  // namespace minibox::init
