// SPDX-License-Identifier: Apache-2.0
// When the runs of a supervising runtime are probed (spec §12.18).
//
//   Begin ──> timer ──> thread of the pool: probe ──> timer ──> … until the
//   probe says that the
//                                                                run is over
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "core/event_loop.h"
#include "minibox/runtime.h"
#include "runtime/launcher.h"

namespace minibox::runtime {

// Thread-safe.
class HealthMonitor {
 public:
  // Probes a run once; returns the pause before the next probe, nullopt if
  // there is none. Called on a thread of its own, never twice at once for one
  // run.
  using ProbeFn = std::function<std::optional<std::chrono::milliseconds>(const ContainerId &,
                                                                         const MonitorIdentity &)>;
  // `loop` outlives Close().
  HealthMonitor(core::EventLoop *loop, ProbeFn probe);
  ~HealthMonitor();

  // A second beginning of the same run is dropped.
  void Begin(const ContainerId &id, const MonitorIdentity &run, std::chrono::milliseconds first);
  // Waits for probes that are under way; nothing more is probed.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
