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

// Everything that makes this process the workload but exec: session, stdio, limits, directory,
// ids, capabilities, no_new_privs, seccomp. All other descriptors will close.
// `nofile`: the limit on descriptors unless the plan has one.
bool PrepareWorkload(const Plan& plan, const Identity& identity, const WorkloadStdio& stdio,
                     const sys::Limit& nofile, Failure& failure);

// Returns only on failure.
void ExecWorkload(const Plan& plan, const Identity& identity, Failure& failure);

}  // namespace minibox::init
