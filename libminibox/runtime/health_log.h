// SPDX-License-Identifier: Apache-2.0
// containers/<id>/health.json: the last probes of the present or last run (spec §12.18).
#pragma once

#include <string>
#include <string_view>

#include "minibox/policy.h"
#include "minibox/status.h"
#include "runtime/container_dir.h"

namespace minibox::runtime {

std::string SerializeHealthLog(const HealthLog& log);
StatusOr<HealthLog> ParseHealthLog(std::string_view json);

// Empty if there is none, or if a power cut has damaged it: it is not worth a sync per probe.
HealthLog ReadHealthLog(const ContainerDir& dir);
Status WriteHealthLog(const ContainerDir& dir, const HealthLog& log);
// Before a new run.
Status ClearHealthLog(const ContainerDir& dir);

// Adds a probe and forgets what is too old or too long. `counts`: a failure adds to the streak.
void AddProbe(HealthProbe probe, bool counts, HealthLog& log);
// What a probe makes of `before`.
Health NextHealth(Health before, const HealthLog& log, int retries);
// The pause after a probe, or before the first one: short while nobody knows yet.
std::chrono::milliseconds ProbePause(const HealthCheck& check, Health health, TimePoint started,
                                     TimePoint now);

}  // namespace minibox::runtime
