// SPDX-License-Identifier: Apache-2.0
// What a recorded monitor is now. A number alone says nothing: it may be another process's.
#pragma once

#include "runtime/launcher.h"

namespace minibox::runtime {

bool SameRun(const MonitorIdentity& a, const MonitorIdentity& b);

// Of the present boot. One that has ended and was not reaped is not alive.
bool IsAlive(const MonitorIdentity& monitor);

// Reaps a monitor that has just said its last word, if it is a child of this process to which
// no connection is left: an earlier Runtime of the process has started it.
void ReapOwnChild(const MonitorIdentity& monitor);

// Whether the process of a pidfd has ended, or does so in time.
bool HasEnded(int pidfd, int timeout_ms = 0);

}  // namespace minibox::runtime
