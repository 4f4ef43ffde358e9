// SPDX-License-Identifier: Apache-2.0
// exit.json: how a run ended, there before anybody is told.
#pragma once

#include "init/protocol.h"
#include "init/text.h"

namespace minibox::init {

// {"exit_code":0,"signal":0,"finished_at":"2026-01-02T03:04:05.678901234Z"} and, where they
// apply, "oom_killed":true and "error":"timeout". Pure.
Text<512> FormatExit(const ExitedMessage& exit);

// Replaces exit.json in `dir`, durably. False with errno.
bool RecordExit(int dir, const ExitedMessage& exit);

}  // namespace minibox::init
