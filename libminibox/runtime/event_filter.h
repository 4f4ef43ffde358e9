// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "minibox/events.h"

namespace minibox::runtime {

// Whether an event passes the filters; since and until are not looked at.
bool MatchesEvent(const Event& event, const EventOptions& options);

}  // namespace minibox::runtime
