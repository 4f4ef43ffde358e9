// SPDX-License-Identifier: Apache-2.0
#include "runtime/monitor_identity.h"

#include <poll.h>
#include <sys/wait.h>

#include "core/fd.h"
#include "core/process.h"
#include "core/syscalls.h"
#include "runtime/monitor_reaper.h"

namespace minibox::runtime {
namespace {

constexpr int kReapTimeoutMs = 20;  // from its last word to its end

// Invalid if there is no such process.
core::Fd OpenMonitor(const MonitorIdentity& monitor) {
  core::Fd pidfd(monitor.pid > 0 ? core::sys::PidfdOpen(monitor.pid) : -1);
  if (!pidfd.valid()) return pidfd;
  const auto started = core::ProcessStartTime(monitor.pid);
  if (!started.ok() || *started != monitor.start_time) return core::Fd();
  return pidfd;
}

}  // namespace

bool SameRun(const MonitorIdentity& a, const MonitorIdentity& b) {
  return a.pid == b.pid && a.start_time == b.start_time;
}

bool HasEnded(int pidfd, int timeout_ms) {
  pollfd polled{.fd = pidfd, .events = POLLIN, .revents = 0};
  return poll(&polled, 1, timeout_ms) != 0;
}

bool IsAlive(const MonitorIdentity& monitor) {
  const core::Fd pidfd = OpenMonitor(monitor);
  pollfd ended{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return pidfd.valid() && poll(&ended, 1, 0) == 0;
}

void ReapOwnChild(const MonitorIdentity& monitor) {
  const core::Fd pidfd = OpenMonitor(monitor);
  siginfo_t info = {};
  // __WALL: it has no exit signal. Fails for what is nobody's child here.
  if (!pidfd.valid() || waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd.get()),
                               &info, WEXITED | WNOHANG | WNOWAIT | __WALL) != 0) {
    return;
  }
  (void)ReapMonitor(pidfd.get(), kReapTimeoutMs);
}

}  // namespace minibox::runtime
