// SPDX-License-Identifier: Apache-2.0
#include "runtime/dir_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {

namespace {
constexpr std::chrono::milliseconds kLongestWait{10'000};
}

StatusOr<DirWatch> DirWatch::Create(int dir) {
  core::Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return core::SysError("inotify_init1", "");
  const std::string path = core::StrCat("/proc/self/fd/", dir);
  if (inotify_add_watch(inotify.get(), path.c_str(),
                        IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF |
                            IN_MOVE_SELF | IN_ONLYDIR) < 0) {
    return core::SysError("inotify_add_watch", path);
  }
  return DirWatch(std::move(inotify));
}

Status DirWatch::WaitUntil(std::optional<TimePoint> deadline, std::stop_token stop) {
  using std::chrono::milliseconds;
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  int timeout = -1;
  if (deadline) {
    // Not longer: the clock may be set meanwhile.
    const auto left = std::chrono::ceil<milliseconds>(*deadline - std::chrono::system_clock::now());
    timeout = static_cast<int>(std::clamp(left, milliseconds(0), kLongestWait).count());
  }
  MBX_ASSIGN_OR_RETURN(const StopEvent::Woken woken,
                       stop_event.WaitReadable(inotify_.get(), timeout));
  if (woken == StopEvent::Woken::kStopped) return core::Cancelled("waiting for a change");
  Clear();
  return Status();
}

void DirWatch::Clear() {
  char events[4096];
  while (read(inotify_.get(), events, sizeof events) > 0) {
  }
}

}  // namespace minibox::runtime
