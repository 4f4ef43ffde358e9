// SPDX-License-Identifier: Apache-2.0
// From PID 1 (or its child) to the image's command: spec §12.2 step 11. Last, so that nothing
// runs with more than it is meant to have.
#pragma once

#include "init/accounts.h"
#include "init/plan.h"
#include "init/protocol.h"
#include "init/sys.h"

namespace minibox::init {

struct WorkloadStdio {
  int in, out, err;
};

// Resolves plan.user with the container's /etc/passwd and /etc/group below `root`.
bool FindIdentity(const Plan& plan, int root, Identity* identity, Failure& failure);

// Becomes the workload: session, stdio, limits, directory, ids, capabilities, no_new_privs,
// seccomp, exec. All other descriptors close. Returns only on failure. kExecuting is sent to
// `report` when nothing is left to do but the filter and exec.
// `nofile`: the limit on descriptors unless the plan has one.
void BecomeWorkload(const Plan& plan, const Identity& identity, const WorkloadStdio& stdio,
                    const sys::Limit& nofile, int report, Failure& failure);

}  // namespace minibox::init
