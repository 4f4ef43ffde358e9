// SPDX-License-Identifier: Apache-2.0
// The bodies of /containers/{update,wait,prune} (spec §4.5).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "minibox/runtime.h"
#include "minibox/status.h"
#include "wire/resources.h"

namespace minibox::wire {

// What a request to update says: sizes in MiB, `cpu` as in run requests; -1: no limit; zero: as
// it is.
struct UpdateRequest {
  std::optional<int64_t> memory{}, memory_swap{}, cpu{}, io_weight{}, pids_limit{};
  std::string cpuset{}, restart{};
};
// The numbers in it: -1 to `max`.
struct UpdateLimit {
  const char* name;
  int64_t max;
  std::optional<int64_t> UpdateRequest::*field;
};
inline constexpr UpdateLimit kUpdateLimits[] = {
    {"memory", kMaxMemoryMib, &UpdateRequest::memory},
    {"memory_swap", 2 * kMaxMemoryMib, &UpdateRequest::memory_swap},
    {"cpu", kMaxCpu, &UpdateRequest::cpu},
    {"io_weight", 1000, &UpdateRequest::io_weight},
    {"pids_limit", int64_t{1} << 22, &UpdateRequest::pids_limit},
};
StatusOr<ContainerUpdate> ToUpdate(const UpdateRequest& request);

// Only what is set; sizes in MiB.
std::string ToJson(const ContainerUpdate& update);
// {"id","status","exit_code","signal","oom_killed"}
std::string WaitResult(const ContainerInfo& info);
// The exit code in it.
StatusOr<int> ParseWaitResult(std::string_view text);
std::string ToJson(const ContainerPruneReport& report);
StatusOr<ContainerPruneReport> ParseContainerPruneReport(std::string_view text);

// RFC 3339, seconds since 1970, or a duration before `now` such as "10m".
StatusOr<TimePoint> ParseMoment(std::string_view text, TimePoint now);

}  // namespace minibox::wire
