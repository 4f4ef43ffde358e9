// SPDX-License-Identifier: Apache-2.0
// ContainerInfo <-> JSON (spec §5.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

std::string_view StateName(ContainerState state);  // "running"

// One object, without line end.
std::string ToJson(const ContainerInfo& info);
// Object id -> ContainerInfo, by id.
std::string ToJson(const std::vector<ContainerInfo>& containers);

StatusOr<ContainerInfo> ParseContainer(std::string_view text);
// What GET /containers answers, by id.
StatusOr<std::vector<ContainerInfo>> ParseContainers(std::string_view text);

// How a run ended: "exited", "signal", "oom" or "timeout"; "" if nobody could observe it.
std::string_view ExitReason(const ExitStatus& exit);

}  // namespace minibox::wire
