// SPDX-License-Identifier: Apache-2.0
// Ids, capabilities, no_new_privs and seccomp of the workload (spec §12.7-12.9).
#pragma once

#include "init/accounts.h"
#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// Root of the user namespace that this process has just entered, without other groups.
bool BecomeNamespaceRoot(Failure& failure);

// Nobody but who has privileges over the engine may look into this process, and it dies with its
// parent. A change of ids may undo both.
bool GuardProcess(Failure& failure);

// Everything but the seccomp filter, which without no_new_privs is included, since it then
// needs a capability that goes away. What is in force afterwards is read back.
bool DropPrivileges(const Plan& plan, const Identity& identity, Failure& failure);

// Nothing if the plan has no filter.
bool SetSeccomp(const Plan& plan, Failure& failure);

// For PID 1 beside the workload: only signalling is left.
bool KeepOnlySignalling(Failure& failure);

}  // namespace minibox::init
