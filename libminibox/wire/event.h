// SPDX-License-Identifier: Apache-2.0
// Events <-> JSON lines (spec §5.7).
#pragma once

#include <string>
#include <string_view>

#include "minibox/events.h"
#include "minibox/status.h"

namespace minibox::wire {

// With line end. Of an overflow only its type.
std::string EventLine(const Event& event);
StatusOr<Event> ParseEventLine(std::string_view line);

}  // namespace minibox::wire
