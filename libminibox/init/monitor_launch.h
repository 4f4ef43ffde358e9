// SPDX-License-Identifier: Apache-2.0
// The monitor's part of a launch.
#pragma once

#include "init/channel.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/launch_input.h"
#include "init/log_writer.h"
#include "init/step_log.h"
#include "init/sys.h"

namespace minibox::init {

// What a launch leaves to the supervision.
struct Container {
  pid_t pid = -1;
  Held pidfd, pid1;  // PID 1 and the socket to it
  Held out, err;     // read ends of the workload's stdout and stderr; or the master of its terminal
  Held in;           // where its stdin is written to, if anywhere
  Held slave;        // keeps the terminal open
  Held listener;     // monitor.sock
  LogWriter log;
  bool caller_gone = false;
};

class MonitorLaunch {
 public:
  // `nofile`: the limit on descriptors that the workload gets unless the plan says.
  MonitorLaunch(int control, LaunchInput& input, const sys::Limit& nofile, Container& container)
      : control_(control),
        input_(input),
        plan_(input.plan),
        nofile_(nofile),
        container_(container) {}

  // Until the workload has been exec'd and the caller knows. After a failure, which the caller
  // has been told, nothing is left.
  bool Run();

 private:
  bool CreatePid1();
  void BecomePid1(int socket);  // in PID 1, never to return
  // As sys::Clone3, in the network and the user namespace of the process to be joined.
  pid_t CloneInTheirs(clone_args& args, int socket);
  bool MapIds();
  bool SetOomScores();
  bool SendMounts();
  void SendTrees(int* trees, uint32_t* count);
  bool Listen();
  bool OpenLog();
  bool RaiseLimits();
  bool AwaitReady();
  bool ReportSetUp();
  bool AwaitRelease();
  bool AwaitRunning();

  bool Wait(bool* from_pid1, bool* from_caller);
  bool TakeFailure();
  bool FailPid1Ended();
  void Warn(const MessageText& text);
  void Undo();

  const int control_;
  LaunchInput& input_;
  const Plan& plan_;
  const sys::Limit nofile_;
  Container& container_;
  Held user_namespace_, netns_, rtnetlink_;
  Failure failure_{};
  bool aborted_ = false;  // by the caller, who wants no answer
  StepLog steps_;
  Packet packet_;
  char warnings_[4096];  // each ended by NUL
  uint32_t warnings_size_ = 0;
};

}  // namespace minibox::init
