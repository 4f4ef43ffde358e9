// SPDX-License-Identifier: Apache-2.0
// Waits until something happens in a directory (inotify).
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include "core/fd.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::runtime {

// One thread at a time. Nothing that happens after Create is missed.
class DirWatch {
 public:
  // `dir` is borrowed for the call.
  static StatusOr<DirWatch> Create(int dir);
  // Returns at once if something has happened since the last Wait. kCancelled if `stop` is
  // requested.
  Status Wait(std::stop_token stop) { return WaitUntil(std::nullopt, std::move(stop)); }
  // The same, but returns also when `deadline` has passed.
  Status WaitUntil(std::optional<TimePoint> deadline, std::stop_token stop);
  // Readable when something has happened since the last Clear or Wait.
  int fd() const { return inotify_.get(); }
  void Clear();

 private:
  explicit DirWatch(core::Fd inotify) : inotify_(std::move(inotify)) {}
  core::Fd inotify_;
};

}  // namespace minibox::runtime
