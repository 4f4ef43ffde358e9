// SPDX-License-Identifier: Apache-2.0
// Everything a start is going to do, as data (spec §12.2 step 2).
#pragma once

#include <string>
#include <vector>

#include "init/launch_spec.h"
#include "kernel/cgroup.h"
#include "minibox/status.h"
#include "runtime/container_record.h"
#include "runtime/host_facts.h"
#include "runtime/id_ranges.h"
#include "runtime/mount_plan.h"

namespace minibox::runtime {

// Processes, if a request does not say.
inline constexpr int64_t kDefaultPids = 4096;

struct LaunchPlan {
  init::LaunchSpec spec;
  std::vector<BindSource> binds{};  // LaunchFds::binds, in this order
  kernel::CgroupLimits limits{};
  std::vector<std::string> warnings{};
};

// Of a container or a build step: defaults filled in (spec §12.11).
kernel::CgroupLimits PlanLimits(const Resources& resources);

// `layers` are relative to the data root, bottom first. The ids are set afterwards.
StatusOr<LaunchPlan> PlanLaunch(const ContainerConfig& config, const ContainerId& id,
                                const std::vector<std::string>& layers, const HostFacts& host);

// A range of its own, or the host's ids: what depends on that choice.
void SetIdRange(const IdRange& range, LaunchPlan& plan);
// Returns warnings about what host ids do not go together with.
// `db_mode`: the capabilities that only a user namespace makes harmless go again.
std::vector<std::string> SetHostIds(const Security& security, const HostFacts& host,
                                    LaunchPlan& plan, bool db_mode = false);

}  // namespace minibox::runtime
