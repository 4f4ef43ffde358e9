// SPDX-License-Identifier: Apache-2.0
// Stats and processes <-> JSON (spec §5.4, §4.5).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/stats.h"
#include "minibox/status.h"

namespace minibox::wire {

// One object, without line end.
std::string ToJson(const ContainerStats& stats);
std::string ToJson(const std::vector<ContainerStats>& stats);
std::string ToJson(const std::vector<ProcessInfo>& processes);

StatusOr<std::vector<ContainerStats>> ParseStatsList(std::string_view text);
StatusOr<ContainerStats> ParseStats(std::string_view text);
StatusOr<std::vector<ProcessInfo>> ParseProcesses(std::string_view text);

}  // namespace minibox::wire
