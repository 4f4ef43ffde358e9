// SPDX-License-Identifier: Apache-2.0
// Wall-clock times as text: RFC 3339 with nanoseconds and offset.
#pragma once

#include <string>
#include <string_view>

#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::core {
std::string FormatTime(TimePoint time);  // "2026-01-02T03:04:05.678901234Z"
StatusOr<TimePoint> ParseTime(std::string_view text);
}  // namespace minibox::core
