// SPDX-License-Identifier: Apache-2.0
// What every workload gets unless told otherwise (spec §12.4, §12.8-12.10). Pure data;
// containers and build steps share it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "init/launch_spec.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/host_facts.h"

namespace minibox::runtime {

// The kernel file systems of spec §12.4, in the table's order. /sys of the host network is a
// bind of descriptor `host_sys_index`; -1: a sysfs of the own network namespace.
std::vector<init::MountOp> DefaultMounts(uint64_t shm_bytes, bool privileged, int host_sys_index);

std::vector<std::string> DefaultMaskedPaths(const HostFacts& host);
std::vector<std::string> DefaultReadOnlyPaths();

// CORE, NOFILE and NPROC. Best effort.
std::vector<init::Rlimit> DefaultRlimits(const HostFacts& host);

// For an own network namespace: ports below 1024 and ping for everybody.
std::vector<std::pair<std::string, std::string>> DefaultSysctls(bool user_namespace,
                                                                uint32_t id_count);

// Capabilities, seccomp program and no_new_privs of `security` into `spec`.
// kInvalidArgument "cap_add[1]".
Status ApplySecurity(const Security& security, init::LaunchSpec& spec);
// With `db_mode` all capabilities stay if they are those of a user namespace (spec §16). Adds what
// the seccomp profile gives cause to warn of.
Status ApplySecurity(const Security& security, bool db_mode, init::LaunchSpec& spec,
                     std::vector<std::string>& warnings);

}  // namespace minibox::runtime
