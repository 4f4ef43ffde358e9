// SPDX-License-Identifier: Apache-2.0
// Monitors are children of the process that launched them for as long as it lives, and must be
// reaped by it. Nobody waits for them: they are looked at when something happens anyway.
#pragma once

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/fd.h"

namespace minibox::runtime {

// Reaps the monitor of `pidfd` if it has ended, waiting up to `timeout_ms` for that. True if
// it has been reaped, by whomever.
bool ReapMonitor(int pidfd, int timeout_ms);

// Thread-safe.
class MonitorReaper {
 public:
  // Waits for those that are about to end, since nobody else will.
  ~MonitorReaper();
  // Takes a monitor that nobody has a connection to any more. `ending`: it has said its last word,
  // and only a busy processor keeps it from its end.
  void Add(core::Fd pidfd, bool ending);
  // Reaps what has ended meanwhile.
  void Sweep();

 private:
  struct Monitor {
    core::Fd pidfd;
    bool ending;
  };
  absl::Mutex mutex_;
  std::vector<Monitor> monitors_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::runtime
