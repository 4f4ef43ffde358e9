// SPDX-License-Identifier: Apache-2.0
#include "init/monitor_launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/pid1.h"
#include "init/raise_limits.h"
#include "init/resolve.h"
#include "init/setup_root.h"

namespace minibox::init {
namespace {

constexpr int kBacklog = 64;

bool FailUnsupported(Failure& failure, const char* field, const char* what) {
  const int error = errno;
  MessageText message;
  message << what;
  return FailWith(failure, FailureKind::kUnsupported, error, field, message);
}

using ProcPath = Text<48>;
ProcPath ProcFile(pid_t pid, const char* name) {
  ProcPath path;
  path << "/proc/" << pid << '/' << name;
  return path;
}

}  // namespace

void MonitorLaunch::BecomePid1(int socket) {
  RunPid1({&plan_, socket, input_.cgroup_tasks, nofile_, input_.message, input_.message_size,
           &input_.arena});
}

// Namespaces belong to the user namespace that they are made in, so somebody has to make them
// there: a process that goes there and whose child is ours.
pid_t MonitorLaunch::CloneInTheirs(clone_args& args, int socket) {
  struct Result {
    pid_t pid;
    int error;
  };
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) return -1;
  const Held ours(sockets[0]);
  Held theirs(sockets[1]);
  clone_args helper_args{};
  helper_args.exit_signal = SIGCHLD;
  const pid_t helper = sys::Clone3(helper_args);
  if (helper == 0) {
    int pidfd = -1;
    Result result{-1, 0};
    const uint64_t user = plan_.user_namespace ? CLONE_NEWUSER : 0;
    if (sys::SetNs(input_.join, user | CLONE_NEWNET) == 0) {
      args.flags = (args.flags & ~uint64_t{CLONE_NEWUSER}) | CLONE_PARENT;
      args.exit_signal = 0;  // it is ours, which is the monitor's
      args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
      result.pid = sys::Clone3(args);
      if (result.pid == 0) BecomePid1(socket);
    }
    result.error = errno;
    (void)SendMessage(theirs.get(), Message::kReady, &result, sizeof result, nullptr, 0, &pidfd,
                      pidfd >= 0 ? 1 : 0);
    _exit(0);
  }
  if (helper < 0) return -1;
  theirs.Reset();
  Result result{-1, ESRCH};  // if it was killed
  if (ReceiveMessage(ours.get(), packet_) == Received::kMessage) {
    if (const auto* told = packet_.As<Result>()) result = *told;
    if (result.pid > 0 && packet_.fd_count == 1) {
      *reinterpret_cast<int*>(args.pidfd) = packet_.fds[0];
    } else {
      packet_.CloseFds();
    }
  }
  while (waitpid(helper, nullptr, 0) < 0 && errno == EINTR) {
  }
  errno = result.error;
  return result.pid;
}

bool MonitorLaunch::CreatePid1() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Fail(failure_, "socketpair");
  }
  container_.pid1.Reset(sockets[0]);
  Held theirs(sockets[1]);
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  if (plan_.user_namespace) args.flags |= CLONE_NEWUSER;
  if (input_.cgroup_v2 >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(input_.cgroup_v2);
  }
  const pid_t pid = input_.join >= 0 ? CloneInTheirs(args, theirs.get()) : sys::Clone3(args);
  if (pid == 0) BecomePid1(theirs.get());
  if (input_.join >= 0 && pid < 0) return Fail(failure_, "join the namespaces");
  if (pid < 0) {
    // Switched off, or the limit on their number is 0.
    const bool refused = errno == EPERM || errno == ENOSPC || errno == EINVAL || errno == EUSERS;
    return plan_.user_namespace && refused
               ? FailUnsupported(failure_, "userns", "clone3 in a user namespace")
               : Fail(failure_, "clone3");
  }
  container_.pid = pid;
  container_.pidfd.Reset(pidfd);
  steps_.Add("pid 1 created");
  return true;
}

bool MonitorLaunch::MapIds() {
  if (plan_.user_namespace) {
    user_namespace_.Reset(open(ProcFile(container_.pid, "ns/user").c_str(), O_RDONLY | O_CLOEXEC));
    Text<64> map;
    map << "0 " << plan_.id_base << ' ' << plan_.id_count << '\n';
    const bool mapped = input_.join >= 0;
    if (!user_namespace_.valid() ||
        (!mapped &&
         (!WriteFile(AT_FDCWD, ProcFile(container_.pid, "uid_map").c_str(), map.c_str()) ||
          !WriteFile(AT_FDCWD, ProcFile(container_.pid, "gid_map").c_str(), map.c_str())))) {
      return FailUnsupported(failure_, "userns", "map the container's ids");
    }
  }
  // Should PID 1 have ended, waiting for its answer finds out why. So below.
  (void)SendMessage(container_.pid1.get(), Message::kMapped, nullptr, 0);
  steps_.Add("ids mapped");
  return true;
}

bool MonitorLaunch::SetOomScores() {
  if (plan_.has_oom_score_adj) {
    Text<16> score;
    score << plan_.oom_score_adj;
    if (!WriteFile(AT_FDCWD, ProcFile(container_.pid, "oom_score_adj").c_str(), score.c_str())) {
      return FailUnsupported(failure_, "oom_score_adj", "cannot apply oom_score_adj");
    }
  }
  // Only now, since PID 1 inherits it. Needs CAP_SYS_RESOURCE; without, the monitor is as likely
  // a victim as any process of its size.
  (void)WriteFile(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
  return true;
}

bool MonitorLaunch::SendMounts() {
  int root = -1;
  const int map = user_namespace_.get();
  if (!MountRoot(plan_, input_.data_root, map, &root, failure_)) return false;
  steps_.Add("root mounted");
  (void)SendMessage(container_.pid1.get(), Message::kRoot, nullptr, 0, nullptr, 0, &root, 1);
  close(root);
  int trees[kMaxFdsPerMessage];
  uint32_t count = 0;
  bool ok = true;
  for (uint32_t i = 0; ok && i < plan_.mounts.size; ++i) {
    const PlannedMount& mount = plan_.mounts[i];
    if (!mount.is_received()) continue;
    if (count == kMaxFdsPerMessage) SendTrees(trees, &count);
    const int source = input_.binds[mount.fd_index];
    if (mount.kind == PlannedMount::Kind::kFile) {
      trees[count] = fcntl(source, F_DUPFD_CLOEXEC, 0);
      ok = trees[count] >= 0 || Fail(failure_, "dup", mount.target);
    } else {
      ok = CloneBind(mount, source, map, &trees[count], failure_);
    }
    if (ok) ++count;
  }
  SendTrees(trees, &count);
  steps_.Add("binds cloned");
  return ok;
}

void MonitorLaunch::SendTrees(int* trees, uint32_t* count) {
  if (*count > 0) {
    (void)SendMessage(container_.pid1.get(), Message::kMounts, nullptr, 0, nullptr, 0, trees,
                      *count);
  }
  while (*count > 0) close(trees[--*count]);
}

bool MonitorLaunch::Listen() {
  if (input_.run_dir < 0) return true;
  Held listener(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.valid()) return Fail(failure_, "socket", kMonitorSocket);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  memcpy(address.sun_path, kMonitorSocket, sizeof kMonitorSocket);
  const auto* where = reinterpret_cast<const sockaddr*>(&address);
  // Relative: the real path may be longer than an address.
  if (fchdir(input_.run_dir) != 0) return Fail(failure_, "fchdir", "run directory");
  const mode_t mask = umask(0177);
  int result = bind(listener.get(), where, sizeof address);
  if (result != 0 && errno == EADDRINUSE) {
    const Held probe(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    const bool alive = connect(probe.get(), where, sizeof address) == 0;
    // What a killed monitor has left.
    if (!alive && unlink(kMonitorSocket) == 0) result = bind(listener.get(), where, sizeof address);
    if (alive) errno = EADDRINUSE;
  }
  const bool ok = result == 0 || Fail(failure_, "bind", kMonitorSocket);
  umask(mask);
  if (chdir("/") != 0) return Fail(failure_, "chdir", "/");
  if (!ok) return false;
  container_.listener.Reset(listener.Release());
  return listen(container_.listener.get(), kBacklog) == 0 ||
         Fail(failure_, "listen", kMonitorSocket);
}

void MonitorLaunch::Warn(const MessageText& text) {
  const uint32_t size = text.size() + 1;
  if (size > sizeof warnings_ - warnings_size_) return;
  memcpy(warnings_ + warnings_size_, text.c_str(), size);
  warnings_size_ += size;
}

// The workload sets its limits itself, so that PID 1 does not suffer from them.
bool MonitorLaunch::RaiseLimits() {
  const auto warn = [](void* self, const MessageText& text) {
    static_cast<MonitorLaunch*>(self)->Warn(text);
  };
  return init::RaiseLimits(plan_, container_.pid, warn, this, failure_);
}

bool MonitorLaunch::FailPid1Ended() {
  int status = 0;
  while (waitpid(container_.pid, &status, 0) < 0 && errno == EINTR) {
  }
  container_.pid = -1;
  MessageText message;
  message << "PID 1 ended unexpectedly";
  if (WIFSIGNALED(status)) message << ": killed by signal " << WTERMSIG(status);
  return FailWith(failure_, FailureKind::kStartFailed, 0, "", message);
}

bool MonitorLaunch::TakeFailure() {
  if (const auto* failure = packet_.As<Failure>(); failure != nullptr) failure_ = *failure;
  return false;
}

// Waits until there is something of PID 1 or of the caller to read.
bool MonitorLaunch::Wait(bool* from_pid1, bool* from_caller) {
  pollfd polled[] = {
      {.fd = container_.pid1.get(), .events = POLLIN, .revents = 0},
      {.fd = container_.caller_gone ? -1 : control_, .events = POLLIN, .revents = 0}};
  int ready;
  do {
    ready = poll(polled, 2, -1);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return Fail(failure_, "poll");
  *from_pid1 = polled[0].revents != 0;
  *from_caller = polled[1].revents != 0;
  return true;
}

bool MonitorLaunch::AwaitReady() {
  bool from_pid1, from_caller;
  if (!Wait(&from_pid1, &from_caller)) return false;
  if (from_caller) {
    aborted_ = true;  // there is nothing else that it could say
    return false;
  }
  if (ReceiveMessage(container_.pid1.get(), packet_) != Received::kMessage) return FailPid1Ended();
  const uint32_t stdio = StdioFdCount(plan_.tty, plan_.open_stdin);
  const uint32_t expected = stdio + (plan_.new_network ? 2 : 0);
  if (packet_.type == Message::kReady && packet_.fd_count == expected) {
    steps_.Add(packet_.payload, packet_.size);
    container_.out.Reset(packet_.fds[0]);
    (plan_.tty ? container_.slave : container_.err).Reset(packet_.fds[1]);
    if (stdio == 3) container_.in.Reset(packet_.fds[2]);
    if (plan_.new_network) netns_.Reset(packet_.fds[stdio]);
    if (plan_.new_network) rtnetlink_.Reset(packet_.fds[stdio + 1]);
    if (!plan_.tty) return true;
    container_.in.Reset(fcntl(container_.out.get(), F_DUPFD_CLOEXEC, 0));
    return container_.in.valid() || Fail(failure_, "fcntl", "terminal");
  }
  packet_.CloseFds();
  return TakeFailure();
}

bool MonitorLaunch::ReportSetUp() {
  steps_.Add("set up");
  const SetUpMessage message{container_.pid, 0};
  const int fds[] = {container_.pidfd.get(), netns_.get(), rtnetlink_.get()};
  aborted_ = !SendMessage(control_, Message::kSetUp, &message, sizeof message, warnings_,
                          warnings_size_, fds, plan_.new_network ? 3 : 1);
  netns_.Reset();
  rtnetlink_.Reset();
  return !aborted_;
}

bool MonitorLaunch::AwaitRelease() {
  bool from_pid1, from_caller;
  if (!Wait(&from_pid1, &from_caller)) return false;
  if (from_caller) {
    aborted_ = ReceiveMessage(control_, packet_) != Received::kMessage ||
               packet_.type != Message::kRelease;
    return !aborted_;
  }
  if (ReceiveMessage(container_.pid1.get(), packet_) != Received::kMessage) return FailPid1Ended();
  packet_.CloseFds();
  return TakeFailure();
}

bool MonitorLaunch::AwaitRunning() {
  steps_.Add("released");
  (void)SendMessage(container_.pid1.get(), Message::kRelease, nullptr, 0);
  bool executing = false;
  while (true) {
    bool from_pid1, from_caller;
    if (!Wait(&from_pid1, &from_caller)) return false;
    if (from_caller) {
      // A caller that dies now leaves a container behind that its successor finds.
      const Received received = ReceiveMessage(control_, packet_);
      container_.caller_gone = received != Received::kMessage;
      aborted_ = !container_.caller_gone || input_.run_dir < 0;
      if (aborted_) return false;
      continue;
    }
    switch (ReceiveMessage(container_.pid1.get(), packet_)) {
      case Received::kMessage:
        packet_.CloseFds();
        if (packet_.type == Message::kFailed) return TakeFailure();
        executing = packet_.type == Message::kExecuting;
        if (executing) continue;
        steps_.Add(packet_.payload, packet_.size);
        return true;
      default:
        // Without init exec has closed the socket.
        if (!executing) return FailPid1Ended();
        steps_.Add("workload exec'd");
        container_.pid1.Reset();
        return true;
    }
  }
}

void MonitorLaunch::Undo() {
  if (container_.pid > 0) {
    (void)sys::PidfdSendSignal(container_.pidfd.get(), SIGKILL);
    while (waitpid(container_.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  if (container_.listener.valid()) (void)unlinkat(input_.run_dir, kMonitorSocket, 0);
}

bool MonitorLaunch::Run() {
  steps_.Add("spec received");
  const bool running = CreatePid1() && RaiseLimits() && MapIds() && SetOomScores() &&
                       SendMounts() && Listen() && OpenLog() && AwaitReady() && ReportSetUp() &&
                       AwaitRelease() && AwaitRunning();
  if (running) {
    (void)SendMessage(control_, Message::kRunning, steps_.data(), steps_.bytes());
    return true;
  }
  Undo();
  // The caller is told when nothing is left.
  if (!aborted_) (void)SendMessage(control_, Message::kFailed, &failure_, sizeof failure_);
  return false;
}

bool MonitorLaunch::OpenLog() {
  return !plan_.log || input_.container_dir < 0 ||
         container_.log.Open(input_.container_dir, plan_.log_max_bytes, plan_.log_max_files,
                             plan_.log_timestamps, failure_);
}

}  // namespace minibox::init
