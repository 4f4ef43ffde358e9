// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::wire {

// RFC 3339, Unix seconds ("1700000000", "1700000000.5"), or a duration before `now` ("10m").
StatusOr<TimePoint> ParseTimeOrAgo(std::string_view text, TimePoint now);

}  // namespace minibox::wire
