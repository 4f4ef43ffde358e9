// SPDX-License-Identifier: Apache-2.0
// Resource limits of a workload as far as it takes more privileges than it has to set them.
#pragma once

#include <sys/types.h>

#include "init/failing.h"
#include "init/plan.h"

namespace minibox::init {

// The hard limits of `pid`, its own process between creation and exec, as far as the workload
// asks for more than it has inherited; it sets the rest itself. `warn` (may be null) hears of
// defaults that could not be applied.
bool RaiseLimits(const Plan& plan, pid_t pid, void (*warn)(void*, const MessageText&),
                 void* argument, Failure& failure);

}  // namespace minibox::init
