// SPDX-License-Identifier: Apache-2.0
// Our end of a process's stdin: a pipe, or the master of its terminal.
#pragma once

#include <memory>
#include <stop_token>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::runtime {

// Thread-safe; what several threads write is not mixed within one call.
class StdinWriter {
 public:
  // Takes the descriptor and makes it non-blocking. An invalid one is a stdin that is closed.
  static StatusOr<std::unique_ptr<StdinWriter>> Create(core::Fd fd, bool terminal);

  // Blocks until the process has room for all of it, `stop` is requested (kCancelled), or End was
  // called or nobody reads any more: kFailedPrecondition "container_not_running".
  Status Write(std::string_view bytes, const std::stop_token& stop);
  // A pipe is closed. On a terminal the end-of-file character takes its place: in the middle of
  // a line it is needed twice, since the first one only hands the line over.
  Status Close();
  // The process has ended: wakes up whoever writes.
  void End();

 private:
  StdinWriter(core::Fd fd, core::Fd ended, bool terminal)
      : terminal_(terminal), ended_(std::move(ended)), fd_(std::move(fd)) {}
  Status WriteLocked(std::string_view bytes, const std::stop_token& stop)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const bool terminal_;
  const core::Fd ended_;  // eventfd
  absl::Mutex mutex_;
  core::Fd fd_ ABSL_GUARDED_BY(mutex_);
  bool mid_line_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace minibox::runtime
