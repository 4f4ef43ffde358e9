// SPDX-License-Identifier: Apache-2.0
// When a container that has ended is started again (spec §12.19). Pure functions.
#pragma once

#include <chrono>

#include "runtime/container_record.h"

namespace minibox::runtime {

// The pause before the start that follows `row` starts in a row: 100 ms, doubling up to 60 s.
std::chrono::milliseconds RestartDelay(int row);

// Sets `next_restart` of a record whose run has ended, or whose start by the policy has failed, at
// `ended`; clears it if the policy lets it rest. A run of 10 s begins a new row.
enum class Ended { kRun, kFailedStart };
void PlanRestart(ContainerRecord& record, Ended what, TimePoint ended);

// At the start of a daemon: whether a container that does not run is started at once, whatever
// happened to it before.
bool StartsWithDaemon(const ContainerRecord& record);

}  // namespace minibox::runtime
