// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/fd.h"
#include "init/channel.h"
#include "runtime/launcher.h"
#include "runtime/monitor_reaper.h"

namespace minibox::runtime {

struct MonitorConnection::Impl {
  explicit Impl(core::Fd connected) : socket(std::move(connected)) {}
  // For the launching process: the monitor's pidfd, and who reaps it if it lives longer.
  // `only`: there is no other way to reach it.
  Impl(core::Fd connected, core::Fd monitor_pidfd, bool only_connection,
       std::shared_ptr<MonitorReaper> monitor_reaper)
      : socket(std::move(connected)),
        pidfd(std::move(monitor_pidfd)),
        only(only_connection),
        reaper(std::move(monitor_reaper)) {}
  ~Impl();

  // Takes in what the monitor has sent.
  void Receive() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const core::Fd socket;
  core::Fd pidfd;
  const bool only = false;
  const std::shared_ptr<MonitorReaper> reaper;

  absl::Mutex mutex;
  std::optional<ExitStatus> exit ABSL_GUARDED_BY(mutex);
  bool gone ABSL_GUARDED_BY(mutex) = false;
  init::Packet packet ABSL_GUARDED_BY(mutex);
};

}  // namespace minibox::runtime
