// SPDX-License-Identifier: Apache-2.0
// What an exec is going to be, as data (spec §12.14).
#pragma once

#include "init/launch_spec.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/container_record.h"
#include "runtime/host_facts.h"

namespace minibox::runtime {

// The container's own process with the overrides of `exec`, which has passed ValidateExec. `ids`
// is the container's range; a count of 0: the host's ids.
StatusOr<init::LaunchSpec> PlanExec(const ContainerConfig& config, const ContainerId& id,
                                    const IdRange& ids, const ExecSpec& exec,
                                    const HostFacts& host);

}  // namespace minibox::runtime
