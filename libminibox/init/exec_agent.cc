// SPDX-License-Identifier: Apache-2.0
#include "init/exec_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/channel.h"
#include "init/exec_child.h"
#include "init/exec_group.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/launch_input.h"
#include "init/raise_limits.h"
#include "init/resolve.h"
#include "init/settle.h"
#include "init/step_log.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

class ExecAgent {
 public:
  ExecAgent(int control, LaunchInput& input, const sys::Limit& nofile)
      : control_(control), input_(input), plan_(input.plan), nofile_(nofile) {
    group_ = {input.exec_parent, input.exec_group, plan_.id};
  }

  int Run() {
    if (!CreateChild() || !RaiseLimits(plan_, child_, nullptr, nullptr, failure_) ||
        !SetOomScores() || !Release() || !AwaitExecuted()) {
      EndChild();
      if (!caller_gone_) {
        (void)SendMessage(control_, Message::kFailed, &failure_, sizeof failure_);
      }
      return 1;
    }
    if (!SendMessage(control_, Message::kRunning, nullptr, 0, nullptr, 0, stdio_, stdio_count_)) {
      caller_gone_ = !plan_.detached;
    }
    CloseStdio();
    Supervise();
    return 0;
  }

 private:
  bool CreateChild();
  bool SetOomScores();
  bool Release();
  bool AwaitExecuted();
  void CloseStdio();
  void Supervise();
  void TakeRequests();
  void EndChild();
  // The status of the child, which has ended or is about to.
  int Reap();

  const int control_;
  LaunchInput& input_;
  const Plan& plan_;
  const sys::Limit nofile_;
  ExecGroup group_;
  pid_t child_ = -1;
  Held pidfd_, socket_;
  int stdio_[3];
  uint32_t stdio_count_ = 0;
  bool listening_ = true, caller_gone_ = false;
  Failure failure_{};
  Packet packet_;
};

bool ExecAgent::CreateChild() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Fail(failure_, "socketpair");
  }
  socket_.Reset(sockets[0]);
  Held theirs(sockets[1]);
  // Of the children to come; this process stays where it is.
  if (sys::SetNs(input_.exec_target, CLONE_NEWPID) != 0) return Fail(failure_, "setns", "pid");
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (input_.cgroup_v2 >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(input_.cgroup_v2);
  }
  const pid_t pid = sys::Clone3(args);
  if (pid == 0) {
    socket_.Reset();
    close(control_);
    RunExecChild({&input_, theirs.get(), nofile_});
  }
  if (pid < 0) return Fail(failure_, "clone3");
  child_ = pid;
  pidfd_.Reset(pidfd);
  return true;
}

bool ExecAgent::SetOomScores() {
  if (plan_.has_oom_score_adj) {
    Text<48> path;
    path << "/proc/" << child_ << "/oom_score_adj";
    Text<16> score;
    score << plan_.oom_score_adj;
    if (!WriteFile(AT_FDCWD, path.c_str(), score.c_str())) {
      return Fail(failure_, "apply oom_score_adj");
    }
  }
  // Only now, since the child inherits it. Without CAP_SYS_RESOURCE the agent is as likely a
  // victim as any process of its size.
  (void)WriteFile(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
  return true;
}

bool ExecAgent::Release() {
  // Should the child have ended, waiting for its answer finds out why.
  (void)SendMessage(socket_.get(), Message::kMapped, nullptr, 0);
  return true;
}

// kReady, kExecuting, and then the end of the socket, which is exec's.
bool ExecAgent::AwaitExecuted() {
  bool executing = false;
  while (true) {
    pollfd polled[] = {{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                       {.fd = control_, .events = POLLIN, .revents = 0}};
    if (poll(polled, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return Fail(failure_, "poll");
    }
    if (polled[1].revents != 0) {
      // There is nothing else that the caller could say now but that it does not want it.
      caller_gone_ = true;
      return false;
    }
    if (ReceiveMessage(socket_.get(), packet_) != Received::kMessage) {
      socket_.Reset();
      errno = 0;
      return executing || Fail(failure_, "the process of the exec ended before its command ran");
    }
    if (packet_.type == Message::kReady && packet_.fd_count <= 3 && stdio_count_ == 0) {
      stdio_count_ = packet_.fd_count;
      memcpy(stdio_, packet_.fds, stdio_count_ * sizeof(int));
      continue;
    }
    packet_.CloseFds();
    executing = packet_.type == Message::kExecuting;
    if (const auto* failure = packet_.As<Failure>(); failure != nullptr && !executing) {
      failure_ = *failure;
      return false;
    }
  }
}

void ExecAgent::CloseStdio() {
  while (stdio_count_ > 0) close(stdio_[--stdio_count_]);
}

int ExecAgent::Reap() {
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void ExecAgent::EndChild() {
  CloseStdio();
  if (child_ > 0) {
    (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
    (void)Reap();
  }
  KillExecGroup(group_);
  DissolveExecGroup(group_);
}

void ExecAgent::TakeRequests() {
  while (true) {
    switch (ReceiveMessage(control_, packet_, false)) {
      case Received::kNothing:
        return;
      case Received::kEnd:
      case Received::kError:
        listening_ = false;
        caller_gone_ = !plan_.detached;
        return;
      case Received::kMessage:
        break;
    }
    packet_.CloseFds();
    if (packet_.type == Message::kAbort) {
      caller_gone_ = true;
      if (const auto* abort = packet_.As<AbortMessage>()) {
        pollfd ended{.fd = pidfd_.get(), .events = POLLIN, .revents = 0};
        (void)poll(&ended, 1, static_cast<int>(abort->grace_ms));
      }
      return;
    }
    const auto* request = packet_.As<SignalMessage>();
    if (packet_.type == Message::kSignal && request != nullptr) {
      (void)sys::PidfdSendSignal(pidfd_.get(), request->signal);
    }
  }
}

void ExecAgent::Supervise() {
  while (!caller_gone_) {
    pollfd polled[] = {{.fd = pidfd_.get(), .events = POLLIN, .revents = 0},
                       {.fd = listening_ ? control_ : -1, .events = POLLIN, .revents = 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[1].revents != 0) TakeRequests();
    if (polled[0].revents == 0) continue;
    const int status = Reap();
    child_ = -1;
    if (caller_gone_) break;
    DissolveExecGroup(group_);
    ExitedMessage message{};
    message.at_ns = static_cast<int64_t>(NowNs(CLOCK_REALTIME));
    message.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    message.code = message.signal != 0 ? 128 + message.signal : WEXITSTATUS(status);
    (void)SendMessage(control_, Message::kExited, &message, sizeof message);
    return;
  }
  EndChild();
}

}  // namespace

int RunExecAgent(int control) {
  sys::Limit nofile;
  if (!Settle(&nofile)) return 1;
  LaunchInput input;
  Failure failure{};
  if (!ReceiveLaunch(control, Message::kExec, &input, failure)) {
    (void)SendMessage(control, Message::kFailed, &failure, sizeof failure);
    return 1;
  }
  return ExecAgent(control, input, nofile).Run();
}

}  // namespace minibox::init
