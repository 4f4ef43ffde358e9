// SPDX-License-Identifier: Apache-2.0
#include "init/exec_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "init/channel.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/privileges.h"
#include "init/resolve.h"
#include "init/setup_dev.h"
#include "init/terminal.h"
#include "init/workload.h"

namespace minibox::init {
namespace {

class ExecChild {
 public:
  explicit ExecChild(const ExecChildStart& start)
      : input_(*start.input),
        plan_(start.input->plan),
        agent_(start.agent),
        nofile_(start.nofile) {}

  // Only returns on failure.
  void Run() {
    if (!Protect() || !JoinGroups() || !AwaitLimits() || !JoinNamespaces() || !OpenStdio() ||
        !Report() || !PrepareWorkload(plan_, identity_, stdio_, nofile_, failure_)) {
      return;
    }
    if (!SendMessage(agent_, Message::kExecuting, nullptr, 0)) _exit(1);
    ExecWorkload(plan_, identity_, failure_);
  }
  [[noreturn]] void ReportFailure() {
    (void)SendMessage(agent_, Message::kFailed, &failure_, sizeof failure_);
    _exit(1);
  }

 private:
  bool Protect();
  bool JoinGroups();
  bool AwaitLimits();
  bool JoinNamespaces();
  bool OpenStdio();
  bool OpenNull(Held& null) const;
  bool OpenStdin();
  bool Report();

  const LaunchInput& input_;
  const Plan& plan_;
  const int agent_;
  const sys::Limit nofile_;
  Failure failure_{};
  Packet packet_;
  Identity identity_;
  Held root_, master_, slave_, in_, out_, err_;  // ends of the command
  Held in_writer_, out_reader_, err_reader_;     // and ours
  WorkloadStdio stdio_{-1, -1, -1};
};

// The container sees this process from its first instruction on. Its memory belongs to the
// engine's user namespace, so that whoever looks into it (ptrace, /proc/<pid>/{exe,fd,mem}) needs
// privileges outside the container; and it is not dumpable, so that the same user may not either.
bool ExecChild::Protect() {
  if (!GuardProcess(failure_)) return false;
  pollfd agent{.fd = agent_, .events = 0, .revents = 0};
  if (poll(&agent, 1, 0) > 0 && (agent.revents & POLLHUP) != 0) _exit(1);
  return true;
}

// On version 1; on version 2 it was created in its group.
bool ExecChild::JoinGroups() {
  for (uint32_t i = 0; i < plan_.fds.cgroup_tasks; ++i) {
    const Held tasks(input_.cgroup_tasks[i]);
    if (write(tasks.get(), "0", 1) != 1) return Fail(failure_, "join", "cgroup");
  }
  return true;
}

bool ExecChild::AwaitLimits() {
  if (ReceiveMessage(agent_, packet_) == Received::kMessage && packet_.type == Message::kMapped) {
    return true;
  }
  _exit(1);
}

bool ExecChild::JoinNamespaces() {
  const uint64_t user = plan_.user_namespace ? CLONE_NEWUSER : 0;
  // At once: either all of them are the container's, or none. Root and working directory become
  // those of the mount namespace.
  if (sys::SetNs(input_.exec_target, user | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC |
                                         CLONE_NEWUTS | CLONE_NEWCGROUP) != 0) {
    return Fail(failure_, "setns");
  }
  if (plan_.user_namespace) {
    if (!BecomeNamespaceRoot(failure_)) return false;
    // The change of ids has cleared the one and, on some kernels, set the other.
    if (!GuardProcess(failure_)) return false;
  }
  // The engine's keys are not the container's. A kernel without keys has none to share.
  if (sys::JoinNewSessionKeyring() < 0 && errno != ENOSYS) return Fail(failure_, "keyctl");
  root_.Reset(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_.valid()) return Fail(failure_, "open", "/");
  return FindIdentity(plan_, root_.get(), &identity_, failure_);
}

// False if the container has made something else of it.
bool ExecChild::OpenNull(Held& null) const {
  // First only a handle: opening a device of the container's choice could do anything.
  null.Reset(OpenInRoot(root_.get(), "/dev/null", O_PATH));
  if (!null.valid() || !IsNullDevice(null.get())) return false;
  null.Reset(OpenInRoot(root_.get(), "/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK));
  return null.valid() && IsNullDevice(null.get());
}

bool ExecChild::OpenStdin() {
  // Else a pipe that nobody writes to.
  if (!plan_.open_stdin && OpenNull(in_)) return true;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Fail(failure_, "pipe2");
  in_.Reset(ends[0]);
  in_writer_.Reset(ends[1]);
  if (!plan_.open_stdin) in_writer_.Reset();
  return true;
}

// Made here, they belong to the container's root, which may hand them to the command's user.
bool ExecChild::OpenStdio() {
  if (plan_.tty) {
    if (!OpenTerminal(root_.get(), plan_.rows, plan_.cols, master_, slave_, failure_)) return false;
    stdio_ = {slave_.get(), slave_.get(), slave_.get()};
    return true;
  }
  if (plan_.detached) {
    if (!OpenNull(in_)) return Fail(failure_, "open", "/dev/null");
    stdio_ = {in_.get(), in_.get(), in_.get()};
    return true;
  }
  if (!OpenStdin()) return false;
  for (int i = 0; i < 2; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail(failure_, "pipe2");
    (i == 0 ? out_reader_ : err_reader_).Reset(ends[0]);
    (i == 0 ? out_ : err_).Reset(ends[1]);
  }
  if (plan_.merge_output && dup3(out_.get(), err_.get(), O_CLOEXEC) < 0) {
    return Fail(failure_, "dup3");
  }
  stdio_ = {in_.get(), out_.get(), err_.get()};
  return true;
}

bool ExecChild::Report() {
  const int terminal[] = {master_.get()};
  const int pipes[] = {out_reader_.get(), err_reader_.get(), in_writer_.get()};
  const uint32_t count = ExecFdCount(plan_.tty, plan_.open_stdin, plan_.detached);
  if (!SendMessage(agent_, Message::kReady, nullptr, 0, nullptr, 0, plan_.tty ? terminal : pipes,
                   count)) {
    return Fail(failure_, "sendmsg", "agent");
  }
  Held* const ours[] = {&master_, &out_reader_, &err_reader_, &in_writer_, &root_};
  for (Held* fd : ours) fd->Reset();
  return true;
}

}  // namespace

void RunExecChild(const ExecChildStart& start) {
  ExecChild self(start);
  self.Run();
  self.ReportFailure();
}

}  // namespace minibox::init
