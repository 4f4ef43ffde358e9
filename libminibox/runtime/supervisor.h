// SPDX-License-Identifier: Apache-2.0
// Notices the ends of runs, and runs that other processes start.
//
//   monitor.sock of each run ──> event loop ──> on_exit(id, run, what the monitor said)
//   inotify on RunDir and    ──> event loop ──> on_new(id): a directory <id> has appeared
//   containers/
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/event_loop.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/launcher.h"

namespace minibox::runtime {

// Thread-safe. The callbacks run on the loop's thread and must not block.
class Supervisor {
 public:
  struct Callbacks {
    std::function<void(const ContainerId&, const MonitorIdentity&, std::optional<ExitStatus>)>
        on_exit{};
    std::function<void(const ContainerId&)> on_new{};
  };
  // `loop` outlives the supervisor; the directories are borrowed for the call.
  static StatusOr<std::unique_ptr<Supervisor>> Create(core::EventLoop* loop,
                                                      const std::vector<int>& directories,
                                                      Callbacks callbacks);
  ~Supervisor();

  // Watches until the exit. A second watch of the same run is dropped.
  Status Watch(const ContainerId& id, const MonitorIdentity& run, MonitorConnection connection);
  bool IsWatched(const ContainerId& id, const MonitorIdentity& run) const;
  // No callback runs afterwards, and nothing more is watched. Not from a callback.
  void Close();

 private:
  Supervisor();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
