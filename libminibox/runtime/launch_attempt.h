// SPDX-License-Identifier: Apache-2.0
// One launch, from the spawn of its monitor until the workload runs or nothing is left.
#pragma once

#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/process.h"
#include "init/channel.h"
#include "runtime/launcher.h"
#include "runtime/monitor_reaper.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {

// Use: Create, Run. Not thread-safe. Destruction before Run has succeeded ends the monitor and
// everything that it made, and waits for that.
class LaunchAttempt {
 public:
  LaunchAttempt(StopEvent stop, std::shared_ptr<MonitorReaper> reaper);
  ~LaunchAttempt();
  LaunchAttempt(const LaunchAttempt&) = delete;
  LaunchAttempt& operator=(const LaunchAttempt&) = delete;

  // `image` is minibox-init, `null` is /dev/null.
  Status Spawn(int image, int null);
  Status SendSpec(const init::LaunchSpec& spec, const LaunchFds& fds, const kernel::Cgroup& cgroup,
                  bool capture);
  // Until PID 1 waits for its release.
  StatusOr<SetUp> ReceiveSetUp();
  // Releases it; until the workload has been exec'd.
  StatusOr<Launched> Release(SetUp set_up);

 private:
  // The next message, which is to be `expected`; an error if it is something else.
  Status Receive(init::Message expected);
  // What became of a monitor that ended without a word.
  void AddStep(std::string_view name);
  // Tells the monitor to undo everything, and reaps it.
  StatusOr<core::WaitResult> EndMonitor();

  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  const StopEvent stop_;
  const std::shared_ptr<MonitorReaper> reaper_;
  core::Fd control_, pidfd_, output_;
  MonitorIdentity monitor_;
  bool only_connection_ = false;
  std::vector<LaunchStep> steps_;
  init::Packet packet_;
};

}  // namespace minibox::runtime
