// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec_process.h"

#include <fcntl.h>

#include <chrono>
#include <csignal>
#include <utility>

#include "core/errors.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "init/protocol.h"
#include "init/spec_codec.h"
#include "runtime/init_messages.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {
namespace {

// From its last message to its end an agent needs well under a millisecond; to kill what it has
// started, some more.
constexpr int kReapTimeoutMs = 20, kKillTimeoutMs = 10'000;
// What a process may do about the loss of its terminal before it is killed.
constexpr uint32_t kHangUpGraceMs = 2'000;

struct ExecFds {
  init::LaunchFdCounts counts{};
  std::vector<int> fds{};
  std::vector<core::Fd> opened{};
  uint8_t Add(int fd) {
    if (fd < 0) return 0;
    fds.push_back(fd);
    return 1;
  }
};

// In the order of LaunchFdCounts.
StatusOr<ExecFds> CollectFds(const ExecProcess::Start& start) {
  ExecFds message;
  const std::vector<kernel::Cgroup::JoinDir> dirs = start.cgroup->JoinDirs();
  std::vector<core::Fd> tasks;
  for (size_t i = 0; i < dirs.size(); ++i) {
    kernel::Cgroup::JoinDir dir = dirs[i];
    if (i == start.group.replaces()) dir.fd = start.group.group();
    if (dir.takes_newborns()) {
      message.counts.cgroup_v2 = message.Add(dir.fd);
      continue;
    }
    MBX_ASSIGN_OR_RETURN(core::Fd members, dir.OpenMembers());
    tasks.push_back(std::move(members));
  }
  message.counts.exec_target = message.Add(start.pid1);
  message.counts.exec_parent = message.Add(start.group.parent());
  message.counts.exec_group = message.Add(start.group.group());
  for (core::Fd& file : tasks) {
    message.counts.cgroup_tasks += message.Add(file.get());
    message.opened.push_back(std::move(file));
  }
  return message;
}

}  // namespace

Status ExecProcess::Spawn(const Start& start) {
  MBX_ASSIGN_OR_RETURN(SocketPair control, MakeSocketPair());
  core::SpawnOptions options;
  options.executable_fd = start.image;
  options.argv = {"minibox-init"};
  options.fds = {
      {start.null, 0}, {start.null, 1}, {start.null, 2}, {control.theirs.get(), init::kControlFd}};
  MBX_ASSIGN_OR_RETURN(core::Spawned spawned, core::Spawn(options));
  control_ = std::move(control.ours);
  agent_ = std::move(spawned.pidfd);
  reaper_ = start.reaper;
  return Status();
}

Status ExecProcess::SendSpec(const init::LaunchSpec& spec, const Start& start) {
  MBX_ASSIGN_OR_RETURN(const ExecFds message, CollectFds(start));
  MBX_ASSIGN_OR_RETURN(const std::string bytes, init::EncodeLaunchSpec(spec, message.counts, ""));
  return SendLaunch(control_.get(), init::Message::kExec, bytes, message.fds);
}

Status ExecProcess::AwaitRunning(const init::LaunchSpec& spec, const std::stop_token& stop) {
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  MBX_ASSIGN_OR_RETURN(const StopEvent::Woken woken, stop_event.WaitReadable(control_.get()));
  if (woken == StopEvent::Woken::kStopped) return core::Cancelled("the start of the exec");
  switch (init::ReceiveMessage(control_.get(), packet_)) {
    case init::Received::kMessage:
      break;
    case init::Received::kError:
      return core::SysError("recvmsg", "minibox-init");
    case init::Received::kNothing:
    case init::Received::kEnd:
      return UnexpectedEnd(core::WaitPidfd(std::exchange(agent_, core::Fd()).get()));
  }
  if (packet_.type == init::Message::kFailed) {
    ended_ = true;
    return FailureIn(packet_);
  }
  const uint32_t expected = init::ExecFdCount(spec.tty, spec.open_stdin, spec.detached);
  if (packet_.type != init::Message::kRunning || packet_.fd_count != expected) {
    packet_.CloseFds();
    return core::Internal("unexpected answer of minibox-init");
  }
  terminal_ = spec.tty;
  detached_ = spec.detached;
  core::Fd* const ends[] = {&out_, &err_, &in_};
  for (uint32_t i = 0; i < expected; ++i) ends[i]->reset(packet_.fds[i]);
  return Status();
}

StatusOr<std::unique_ptr<ExecProcess>> ExecProcess::Run(const init::LaunchSpec& spec, Start start,
                                                        std::stop_token stop) {
  start.reaper->Sweep();
  std::unique_ptr<ExecProcess> process(new ExecProcess);
  MBX_RETURN_IF_ERROR(process->Spawn(start));
  MBX_RETURN_IF_ERROR(process->SendSpec(spec, start));
  start.group.Release();
  MBX_RETURN_IF_ERROR(process->AwaitRunning(spec, stop));
  return process;
}

ExecProcess::~ExecProcess() {
  if (!agent_.valid()) return;
  // Its terminal hangs up.
  for (core::Fd* fd : {&out_, &err_, &in_}) fd->reset();
  if (!ended_ && !detached_) {
    const init::AbortMessage abort{terminal_ ? kHangUpGraceMs : 0};
    (void)init::SendMessage(control_.get(), init::Message::kAbort, &abort, sizeof abort, nullptr, 0,
                            nullptr, 0, false);
  }
  control_.reset();
  if (!ReapMonitor(agent_.get(), ended_ ? kReapTimeoutMs : detached_ ? 0 : kKillTimeoutMs)) {
    reaper_->Add(std::move(agent_), ended_);
  }
}

StatusOr<std::optional<ExitStatus>> ExecProcess::PollExit() {
  while (true) {
    switch (init::ReceiveMessage(control_.get(), packet_, false)) {
      case init::Received::kNothing:
        return std::optional<ExitStatus>();
      case init::Received::kEnd:
      case init::Received::kError:
        return core::Error(StatusCode::kUnavailable, "", "the agent of the exec was killed");
      case init::Received::kMessage:
        break;
    }
    packet_.CloseFds();
    const auto* message = packet_.As<init::ExitedMessage>();
    if (packet_.type != init::Message::kExited || message == nullptr) continue;
    ended_ = true;
    return std::optional<ExitStatus>(
        {.code = message->code,
         .signal = message->signal,
         .oom_killed = false,
         .error = "",
         .at = TimePoint(std::chrono::duration_cast<TimePoint::duration>(
             std::chrono::nanoseconds(message->at_ns)))});
  }
}

Status ExecProcess::Signal(int signal) {
  if (signal < 1 || signal > SIGRTMAX) {
    return core::InvalidArgument("signal", core::StrCat("no such signal: ", signal));
  }
  const init::SignalMessage message{signal};
  if (init::SendMessage(control_.get(), init::Message::kSignal, &message, sizeof message, nullptr,
                        0, nullptr, 0, false)) {
    return Status();
  }
  return core::FailedPrecondition("container_not_running", "the process has ended");
}

}  // namespace minibox::runtime
