// SPDX-License-Identifier: Apache-2.0
// Which operation is allowed in which state (spec §12.1). Predicates only.
#pragma once

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::runtime {

// Running or paused: there is a PID 1.
bool IsLive(ContainerState state);
// kFailedPrecondition "container_running"; kNotFound "container_not_found" while removing.
Status CheckCanStart(const ContainerInfo& info);
// kFailedPrecondition "container_not_running".
Status CheckCanSignal(const ContainerInfo& info);
// kFailedPrecondition "container_not_running", "container_paused".
Status CheckCanPause(const ContainerInfo& info);
// kFailedPrecondition "container_not_running", "container_running".
Status CheckCanUnpause(const ContainerInfo& info);
// kFailedPrecondition "container_running" if live and not `force`.
// kFailedPrecondition "container_paused", "container_not_running".
Status CheckCanExec(const ContainerInfo& info);
Status CheckCanRemove(const ContainerInfo& info, bool force);

}  // namespace minibox::runtime
