// SPDX-License-Identifier: Apache-2.0
// The bodies of /containers/{update,wait,prune} (spec §4.5).
#pragma once

#include <string>
#include <string_view>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

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
