// SPDX-License-Identifier: Apache-2.0
// The text functions that the front ends share with the library. Front ends see nothing of
// libminibox but wire/, so what they need of core/strings.h is named here.
#pragma once

#include "core/clock.h"
#include "core/strings.h"

namespace minibox::wire {

using core::AsciiLower;
using core::EditDistance;
using core::EqualsIgnoreCase;
using core::EscapeControl;
using core::FormatTime;
using core::IsValidUtf8;
using core::ParseDurationNs;
using core::ParseInt64;
using core::ParseSignal;
using core::ParseTime;
using core::ParseUint64;
using core::ReplaceInvalidUtf8;
using core::SignalName;
using core::StrCat;
using core::StrJoin;
using core::StrSplit;
using core::TrimSpace;

}  // namespace minibox::wire
