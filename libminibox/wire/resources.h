// SPDX-License-Identifier: Apache-2.0
// Limits in requests (spec §4.3): `memory` in MiB, `cpu` in µs per 100 ms or percent of one core.
#pragma once

#include "core/json.h"
#include "minibox/runtime.h"
#include "wire/fields.h"

namespace minibox::wire {

inline constexpr int64_t kMaxMemoryMib = 16777216;
inline constexpr int64_t kMaxCpu = 102400000;

// `memory`, `cpu`, `pids_limit`: what builds take too.
void ReadStepLimits(FieldReader& fields, Resources* out);
// The above and `memory_swap`, `cpuset`, `io_weight`, `oom_score_adj`.
void ReadLimits(FieldReader& fields, Resources* out);
// The fields that are set, within an open object.
void WriteLimits(json::Writer& writer, const Resources& resources);

}  // namespace minibox::wire
