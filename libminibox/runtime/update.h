// SPDX-License-Identifier: Apache-2.0
// Changes of limits (spec §4.5 "update", §12.11). Pure functions.
#pragma once

#include "kernel/cgroup.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/host_facts.h"

namespace minibox::runtime {

// Changes `spec` and returns what has to be written to the cgroup of a running container.
// kInvalidArgument names the field; `spec` is in an unknown state then.
StatusOr<kernel::CgroupLimits> ApplyUpdate(const ContainerUpdate& update, const HostFacts& host,
                                           ContainerSpec& spec);
// What undoes `limits`, given what was asked for before.
kernel::CgroupLimits LimitsBefore(const kernel::CgroupLimits& limits, const Resources& before,
                                  std::string_view online_cpus);
bool IsEmpty(const kernel::CgroupLimits& limits);

}  // namespace minibox::runtime
