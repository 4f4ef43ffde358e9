// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_plan.h"

#include <sys/resource.h>

#include <algorithm>

#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/capabilities.h"
#include "network/network_impl.h"
#include "runtime/container_dir.h"
#include "runtime/security_defaults.h"
#include "runtime/spec_resolve.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

// `over` replaces entries of the same key, or adds one.
template <typename List, typename Entry, typename SameKey>
void Override(List& list, Entry over, SameKey same) {
  const auto known =
      std::find_if(list.begin(), list.end(), [&](const auto& entry) { return same(entry, over); });
  if (known != list.end()) {
    *known = std::move(over);
  } else {
    list.push_back(std::move(over));
  }
}

void OverrideSysctls(const std::vector<std::pair<std::string, std::string>>& from,
                     std::vector<std::pair<std::string, std::string>>& into) {
  for (const auto& entry : from) {
    Override(into, entry, [](const auto& a, const auto& b) { return a.first == b.first; });
  }
}

// Defaults that depend on the ids go below what the user asked for.
void SetDefaultSysctls(init::LaunchSpec& spec) {
  if (spec.net != init::LaunchSpec::Net::kNew) return;
  auto sysctls = DefaultSysctls(spec.user_namespace, spec.id_count);
  OverrideSysctls(spec.sysctls, sysctls);
  spec.sysctls = std::move(sysctls);
}

}  // namespace

kernel::CgroupLimits PlanLimits(const Resources& resources) {
  kernel::CgroupLimits limits;
  limits.memory_bytes = resources.memory_bytes;
  limits.memory_swap_bytes = resources.memory_swap_bytes;
  limits.cpu_quota_us = resources.cpu_quota_us;
  limits.cpuset = resources.cpuset;
  limits.io_weight = resources.io_weight;
  limits.pids = resources.pids.value_or(kDefaultPids);
  limits.pids_is_default = !resources.pids;
  return limits;
}

namespace {

// What a database gets where the request does not say otherwise (spec §16). Capabilities and
// /tmp are planned with the others.
void ApplyDatabaseMode(const ContainerSpec& from, const HostFacts& host, LaunchPlan& plan) {
  constexpr uint16_t kIoWeight = 800;
  constexpr int kOomScore = -900;
  if (!from.resources.io_weight) {
    plan.limits.io_weight = kIoWeight;
    plan.limits.io_weight_is_default = true;
  }
  if (!from.resources.oom_score_adj) {
    // Whoever may not lower it for itself cannot do so for others.
    if ((host.capabilities >> *kernel::ParseCapability("SYS_RESOURCE") & 1) != 0) {
      plan.spec.oom_score_adj = kOomScore;
    } else {
      plan.warnings.push_back(
          "db_mode: oom_score_adj stays, because the engine has no CAP_SYS_RESOURCE");
    }
  }
  if (from.ulimits.contains("nofile")) return;
  for (init::Rlimit& limit : plan.spec.rlimits) {
    if (limit.resource == RLIMIT_NOFILE) limit.soft = limit.hard;
  }
}

}  // namespace

StatusOr<LaunchPlan> PlanLaunch(const ContainerConfig& config, const ContainerId& id,
                                const std::vector<std::string>& layers, const HostFacts& host) {
  const ContainerSpec& from = config.spec;
  LaunchPlan plan;
  init::LaunchSpec& spec = plan.spec;
  spec.id = id.ToString();
  spec.hostname = from.hostname;
  spec.net = from.network == "host"          ? init::LaunchSpec::Net::kHost
             : JoinedContainer(from.network) ? init::LaunchSpec::Net::kJoin
                                             : init::LaunchSpec::Net::kNew;

  const std::string directory = ContainerDir::Path(id);
  spec.lowers.assign(layers.rbegin(), layers.rend());
  // An image without layers: an overlay needs a lower directory, so it gets an empty one.
  if (spec.lowers.empty()) spec.lowers.push_back(directory + "/rootfs");
  spec.upper = directory + "/upper";
  spec.work = directory + "/work";
  spec.read_only_root = from.security.read_only_rootfs;

  MBX_ASSIGN_OR_RETURN(MountPlan mounts, PlanMounts(from, host.devices));
  spec.mounts = std::move(mounts.ops);
  plan.binds = std::move(mounts.sources);
  if (!from.security.privileged) {
    spec.masked_paths = DefaultMaskedPaths(host);
    spec.read_only_paths = DefaultReadOnlyPaths();
  }
  if (IsBridged(from.network) && host.ipv6) spec.sysctls = network::NamespaceSysctls();
  std::vector<std::pair<std::string, std::string>> sysctls;
  for (const auto& [key, value] : from.sysctls) {
    // Keys were validated when the container was made.
    if (const auto path = ParseSysctlKey(key)) sysctls.emplace_back(*path, value);
  }
  OverrideSysctls(sysctls, spec.sysctls);
  spec.rlimits = DefaultRlimits(host);
  for (const auto& [name, value] : from.ulimits) {
    MBX_ASSIGN_OR_RETURN(const init::Rlimit limit, ParseUlimit(name, value));
    Override(spec.rlimits, limit,
             [](const auto& a, const auto& b) { return a.resource == b.resource; });
  }
  spec.oom_score_adj = from.resources.oom_score_adj;

  spec.argv = Argv(from);
  spec.env = from.env;
  spec.working_dir = from.working_dir;
  spec.user = from.user;
  MBX_RETURN_IF_ERROR(ApplySecurity(from.security, from.db_mode, spec, plan.warnings));
  spec.init = from.init;
  spec.tty = from.tty;
  spec.open_stdin = from.open_stdin;
  spec.rows = from.terminal_size.rows;
  spec.cols = from.terminal_size.cols;
  spec.timeout_ms = static_cast<uint64_t>(from.timeout.count());
  spec.log_max_bytes = from.log_max_bytes;
  spec.log_max_files = from.log_max_files;
  spec.log_timestamps = from.log_timestamps;

  plan.limits = PlanLimits(from.resources);
  if (from.db_mode) ApplyDatabaseMode(from, host, plan);
  return plan;
}

void SetIdRange(const IdRange& range, LaunchPlan& plan) {
  plan.spec.user_namespace = true;
  plan.spec.id_base = range.base;
  plan.spec.id_count = range.count;
  SetDefaultSysctls(plan.spec);
}

std::vector<std::string> SetHostIds(const Security& security, const HostFacts& host,
                                    LaunchPlan& plan, bool db_mode) {
  plan.spec.user_namespace = false;
  plan.spec.id_base = 0;
  plan.spec.id_count = 0;
  for (init::MountOp& mount : plan.spec.mounts) mount.id_mapped = false;
  SetDefaultSysctls(plan.spec);
  std::vector<std::string> warnings;
  if (db_mode && !security.privileged) {
    const auto usual = kernel::ResolveCapabilities(kernel::DefaultCapabilities(), security.cap_add,
                                                   security.cap_drop);
    plan.spec.capabilities &= usual.ok() ? *usual : kernel::DefaultCapabilities();
    plan.spec.ambient &= plan.spec.capabilities;
    warnings.push_back("db_mode: with the host's user ids only the default capabilities stay");
  }
  const uint64_t missing = kernel::AllCapabilities() & ~host.capabilities;
  if (security.privileged && (plan.spec.capabilities & missing) != 0) {
    // Those asked for by name stay, and the start fails.
    const auto named = kernel::ResolveCapabilities(0, security.cap_add, {});
    plan.spec.capabilities &= ~missing | (named.ok() ? *named : 0);
    warnings.push_back(
        "the engine does not have all capabilities itself, so neither has the container");
  }
  if (host.filters_devices) return warnings;
  // In a user namespace a device node of one's own is of no use. Here only a filter on devices
  // could tell those of the host, and without one a node is the host's disk.
  const uint64_t mknod = uint64_t{1} << *kernel::ParseCapability("MKNOD");
  const bool wanted =
      std::any_of(security.cap_add.begin(), security.cap_add.end(), [](const std::string& name) {
        return core::EqualsIgnoreCase(name, "ALL") ||
               kernel::ParseCapability(name) == kernel::ParseCapability("MKNOD");
      });
  if (!security.privileged && !wanted && (plan.spec.capabilities & mknod) != 0) {
    plan.spec.capabilities &= ~mknod;
    warnings.push_back(
        "CAP_MKNOD is withheld: with the host's ids it would give access to every device");
  }
  return warnings;
}

}  // namespace minibox::runtime
