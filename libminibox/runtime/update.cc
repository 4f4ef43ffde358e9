// SPDX-License-Identifier: Apache-2.0
#include "runtime/update.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "runtime/launch_plan.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

// What the kernel gives a group that asks for nothing.
constexpr uint16_t kNeutralIoWeight = 100;

// -1 removes, unset leaves.
void Change(const std::optional<int64_t>& change, std::optional<int64_t>& value) {
  if (change) value = *change < 0 ? std::nullopt : change;
}

}  // namespace

StatusOr<kernel::CgroupLimits> ApplyUpdate(const ContainerUpdate& update, const HostFacts& host,
                                           ContainerSpec& spec) {
  Resources& limits = spec.resources;
  for (const auto& [value, field] :
       {std::pair(update.memory_bytes, "memory"),
        std::pair(update.memory_swap_bytes, "memory_swap"), std::pair(update.cpu_quota_us, "cpu"),
        std::pair(update.pids, "pids_limit"), std::pair(update.io_weight, "io_weight")}) {
    if (value && (*value == 0 || *value < -1)) {
      return core::InvalidArgument(field, "must be positive, or -1 for no limit");
    }
  }
  Change(update.memory_bytes, limits.memory_bytes);
  if (update.memory_swap_bytes) limits.memory_swap_bytes = update.memory_swap_bytes;
  // Without a limit of memory there is none of the two together.
  if (!limits.memory_bytes && (update.memory_bytes || update.memory_swap_bytes.value_or(0) < 0)) {
    if (update.memory_swap_bytes.value_or(-1) > 0) {
      return core::InvalidArgument("memory_swap", "needs memory");
    }
    limits.memory_swap_bytes.reset();
  }
  Change(update.cpu_quota_us, limits.cpu_quota_us);
  if (update.pids) limits.pids = update.pids;
  if (update.io_weight) {
    if (*update.io_weight > 1000) return core::InvalidArgument("io_weight", "must be 1 to 1000");
    limits.io_weight.reset();
    if (*update.io_weight > 0) limits.io_weight = static_cast<uint16_t>(*update.io_weight);
  }
  if (update.cpuset) limits.cpuset = *update.cpuset == "-1" ? "" : *update.cpuset;
  if (update.restart) {
    if (update.restart->kind != RestartPolicy::Kind::kNo && spec.remove_on_exit) {
      return core::InvalidArgument("restart", "a container that is removed at its exit has none");
    }
    spec.restart = *update.restart;
  }
  MBX_RETURN_IF_ERROR(ValidateResources(limits, host));

  kernel::CgroupLimits now;
  if (update.memory_bytes || update.memory_swap_bytes) {
    now.memory_bytes = limits.memory_bytes.value_or(-1);
    now.memory_swap_bytes = limits.memory_swap_bytes;
  }
  if (update.cpu_quota_us) now.cpu_quota_us = limits.cpu_quota_us.value_or(-1);
  if (update.pids) now.pids = limits.pids;
  if (update.io_weight) now.io_weight = limits.io_weight.value_or(kNeutralIoWeight);
  if (update.cpuset) now.cpuset = limits.cpuset.empty() ? host.online_cpus : limits.cpuset;
  return now;
}

kernel::CgroupLimits LimitsBefore(const kernel::CgroupLimits& limits, const Resources& before,
                                  std::string_view online_cpus) {
  kernel::CgroupLimits undo;
  if (limits.memory_bytes) {
    undo.memory_bytes = before.memory_bytes.value_or(-1);
    undo.memory_swap_bytes = before.memory_swap_bytes;
  }
  if (limits.cpu_quota_us) undo.cpu_quota_us = before.cpu_quota_us.value_or(-1);
  if (limits.pids) undo.pids = before.pids.value_or(kDefaultPids);
  if (limits.io_weight) undo.io_weight = before.io_weight.value_or(kNeutralIoWeight);
  if (!limits.cpuset.empty()) undo.cpuset = before.cpuset.empty() ? online_cpus : before.cpuset;
  return undo;
}

bool IsEmpty(const kernel::CgroupLimits& limits) {
  return !limits.memory_bytes && !limits.memory_swap_bytes && !limits.cpu_quota_us &&
         limits.cpuset.empty() && !limits.io_weight && !limits.pids;
}

}  // namespace minibox::runtime
