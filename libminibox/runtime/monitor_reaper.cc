// SPDX-License-Identifier: Apache-2.0
#include "runtime/monitor_reaper.h"

#include <poll.h>
#include <sys/wait.h>

#include <cerrno>

namespace minibox::runtime {

bool ReapMonitor(int pidfd, int timeout_ms) {
  pollfd polled{.fd = pidfd, .events = POLLIN, .revents = 0};
  while (poll(&polled, 1, timeout_ms) < 0) {
    if (errno != EINTR) return false;
  }
  if (polled.revents == 0) return false;
  siginfo_t info{};
  // __WALL: it has no exit signal. ECHILD: whoever looked at it by its identity has reaped it.
  return waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(pidfd), &info,
                WEXITED | WNOHANG | __WALL) == 0 ||
         errno == ECHILD;
}

MonitorReaper::~MonitorReaper() {
  constexpr int kLastTimeoutMs = 2000;
  for (const Monitor& monitor : monitors_) {
    (void)ReapMonitor(monitor.pidfd.get(), monitor.ending ? kLastTimeoutMs : 0);
  }
}

void MonitorReaper::Add(core::Fd pidfd, bool ending) {
  const absl::MutexLock lock(&mutex_);
  monitors_.push_back({std::move(pidfd), ending});
}

void MonitorReaper::Sweep() {
  const absl::MutexLock lock(&mutex_);
  std::erase_if(monitors_,
                [](const Monitor& monitor) { return ReapMonitor(monitor.pidfd.get(), 0); });
}

}  // namespace minibox::runtime
