// SPDX-License-Identifier: Apache-2.0
// One exec: its agent (minibox-init) and our ends of its stdio.
//
//   library ──LaunchSpec, pidfd of PID 1, groups──> agent ──clone3──> child ──setns, exec──>
//   command
//           <──"running", ends of the stdio────────
//           <──"exited"────────────────────────────   (the agent outlives nobody: when its caller
//                                                       is gone, it kills the command and all that
//                                                       descends from it)
#pragma once

#include <memory>
#include <optional>
#include <stop_token>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/fd.h"
#include "init/channel.h"
#include "init/launch_spec.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_child.h"
#include "minibox/runtime.h"
#include "runtime/monitor_reaper.h"

namespace minibox::runtime {

class ExecProcess {
 public:
  struct Start {
    int image, null;  // minibox-init; /dev/null
    std::shared_ptr<MonitorReaper> reaper;
    int pid1;  // pidfd
    const kernel::Cgroup* cgroup;
    kernel::CgroupChild group;
  };
  // Returns once the command has been exec'd. Failures as Launcher::Launch; nothing is left then.
  static StatusOr<std::unique_ptr<ExecProcess>> Run(const init::LaunchSpec& spec, Start start,
                                                    std::stop_token stop);
  // Kills it with all its descendants unless it is detached or its end has been received.
  ~ExecProcess();
  ExecProcess(const ExecProcess&) = delete;
  ExecProcess& operator=(const ExecProcess&) = delete;

  // Of a terminal the master and -1.
  int out() const { return out_.get(); }
  int err() const { return err_.get(); }
  // The write end of stdin; invalid with a terminal, or if there is none.
  core::Fd TakeIn() { return std::move(in_); }

  // Readable when its end is known.
  int control() const { return control_.get(); }
  // Without blocking; kUnavailable if the agent was killed. One thread.
  StatusOr<std::optional<ExitStatus>> PollExit();
  // Any thread. An exec that has ended takes none.
  Status Signal(int signal);

 private:
  ExecProcess() = default;
  Status Spawn(const Start& start);
  Status SendSpec(const init::LaunchSpec& spec, const Start& start);
  Status AwaitRunning(const init::LaunchSpec& spec, const std::stop_token& stop);

  core::Fd control_, agent_;
  core::Fd out_, err_, in_;
  bool terminal_ = false, detached_ = false, ended_ = false;
  std::shared_ptr<MonitorReaper> reaper_;
  init::Packet packet_;
};

}  // namespace minibox::runtime
