// SPDX-License-Identifier: Apache-2.0
// The lines of one build on their way to the caller. Any thread writes; one thread, that of
// the caller of Build, hands them over, so the callback is never called concurrently.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::build {

class BuildLog {
 public:
  // Waits while the caller is more than `kCapacity` bytes behind: a slow reader slows the
  // build. Lines of a closed log are dropped.
  void Write(std::string line) ABSL_LOCKS_EXCLUDED(mutex_);

  // Hands lines to `events` until Close has been called and all are out, or the callback
  // fails; that error is returned and the log closed. `tick` is asked for further lines at
  // that interval.
  Status Deliver(const BuildEventFn& events, std::chrono::milliseconds tick_interval,
                 const std::function<std::vector<std::string>()>& tick) ABSL_LOCKS_EXCLUDED(mutex_);
  // No line comes any more.
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

  static constexpr size_t kCapacity = 4u << 20;

 private:
  bool CanWrite() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return closed_ || bytes_ < kCapacity; }
  bool CanRead() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return closed_ || !lines_.empty(); }

  absl::Mutex mutex_;
  std::deque<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace minibox::build
