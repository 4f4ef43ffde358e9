// SPDX-License-Identifier: Apache-2.0
#include "init/pid1.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/accounts.h"
#include "init/cgroup_hierarchies.h"
#include "init/channel.h"
#include "init/failing.h"
#include "init/held.h"
#include "init/privileges.h"
#include "init/reaper.h"
#include "init/resolve.h"
#include "init/setup_dev.h"
#include "init/setup_masks.h"
#include "init/setup_mounts.h"
#include "init/step_log.h"
#include "init/terminal.h"
#include "init/workload.h"

namespace minibox::init {
namespace {

using Kind = PlannedMount::Kind;

class Pid1 {
 public:
  explicit Pid1(const Pid1Start& start)
      : start_(start), plan_(*start.plan), monitor_(start.monitor) {}

  bool SetUp() {
    return CloseInherited() && EnterCgroup() && EnterNamespaces() && Await(Message::kMapped) &&
           BecomeContainerRoot() && Isolate() && PrepareMounts() && Await(Message::kRoot) &&
           BuildRoot() && PivotRoot() && OpenStdio();
  }
  bool ReportReady();

  // While the caller configures the network, the workload's process does all that runs nothing
  // of the image yet; at the release exec is what is left.

  // Without plan.init this process becomes the workload. Only returns on failure.
  void BecomeWorkload();
  // With it a child does. False if there is none.
  bool StartChild();
  // Once released: true when the child has been exec'd.
  bool ReleaseChild();
  [[noreturn]] void LookAfterChild();

  [[noreturn]] void ReportFailure() {
    (void)SendMessage(monitor_, Message::kFailed, &failure_, sizeof failure_);
    _exit(1);
  }

 private:
  bool CloseInherited();
  bool EnterCgroup();
  bool EnterNamespaces();
  bool Await(Message expected);
  bool BecomeContainerRoot();
  bool Isolate();
  bool PrepareMounts();
  bool ReceiveBinds();
  bool BuildRoot();
  bool WriteSysctls();
  bool PivotRoot();
  bool OpenTerminalAsStdio();
  bool OpenStdio();
  bool HasMount(Kind kind) const;

  const Pid1Start& start_;
  const Plan& plan_;
  const int monitor_;
  Failure failure_{};
  StepLog steps_;
  Packet packet_;
  Hierarchies hierarchies_;
  Identity identity_;
  Held netns_, rtnetlink_, masks_, root_;
  int* trees_ = nullptr;
  Held stdout_reader_, stderr_reader_, stdin_writer_;
  Held master_, slave_;  // with a terminal
  WorkloadStdio stdio_{-1, -1, -1};
  pid_t child_ = -1;
  Held child_socket_;
};

bool Pid1::HasMount(Kind kind) const {
  for (const PlannedMount& mount : plan_.mounts) {
    if (mount.kind == kind) return true;
  }
  return false;
}

// Everything of the monitor but the socket to it and the cgroups.
bool Pid1::CloseInherited() {
  constexpr uint32_t kMaxKept = Hierarchies::kMax + 1;
  int kept[kMaxKept] = {monitor_};
  uint32_t count = 1;
  if (plan_.fds.cgroup_tasks > Hierarchies::kMax) {
    errno = E2BIG;
    return Fail(failure_, "join", "cgroup");
  }
  for (uint32_t i = 0; i < plan_.fds.cgroup_tasks; ++i) {
    uint32_t at = count++;
    for (; at > 0 && kept[at - 1] > start_.cgroup_tasks[i]; --at) kept[at] = kept[at - 1];
    kept[at] = start_.cgroup_tasks[i];
  }
  unsigned first = 3;
  for (uint32_t i = 0; i < count; ++i) {
    const auto fd = static_cast<unsigned>(kept[i]);
    if (fd > first && sys::CloseRange(first, fd - 1, 0) != 0) return Fail(failure_, "close_range");
    first = fd + 1;
  }
  return sys::CloseRange(first, ~0u, 0) == 0 || Fail(failure_, "close_range");
}

// On version 1; on version 2 PID 1 was created in its group.
bool Pid1::EnterCgroup() {
  for (uint32_t i = 0; i < plan_.fds.cgroup_tasks; ++i) {
    const Held tasks(start_.cgroup_tasks[i]);
    if (write(tasks.get(), "0", 1) != 1) return Fail(failure_, "join", "cgroup");
  }
  steps_.Add("cgroup joined");
  return !HasMount(Kind::kCgroup) || ReadHierarchies(plan_.cgroup_path, &hierarchies_, failure_);
}

// Those that need not exist when PID 1 begins. The network namespace is the most expensive step
// of all, and the monitor builds the root meanwhile.
bool Pid1::EnterNamespaces() {
  const uint64_t network = plan_.new_network ? CLONE_NEWNET : 0;
  if (sys::Unshare(CLONE_NEWCGROUP | network) != 0) return Fail(failure_, "unshare");
  steps_.Add("network namespace");
  if (!plan_.new_network) return true;
  netns_.Reset(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!netns_.valid()) return Fail(failure_, "open", "/proc/self/ns/net");
  // So that nobody else need enter the namespace to configure it.
  rtnetlink_.Reset(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
  return rtnetlink_.valid() || Fail(failure_, "socket", "rtnetlink");
}

bool Pid1::Await(Message expected) {
  const Received received = ReceiveMessage(monitor_, packet_);
  if (received == Received::kMessage && packet_.type == expected) return true;
  // The monitor has given up or is gone; nobody reads what we say.
  _exit(1);
}

bool Pid1::BecomeContainerRoot() {
  if (plan_.user_namespace && !BecomeNamespaceRoot(failure_)) return false;
  // Whatever ends the monitor ends the container. From now on, that is: see whether it is there.
  if (!GuardProcess(failure_)) return false;
  pollfd monitor{.fd = monitor_, .events = 0, .revents = 0};
  if (poll(&monitor, 1, 0) > 0 && (monitor.revents & POLLHUP) != 0) _exit(1);
  return true;
}

bool Pid1::Isolate() {
  // The engine's keys are not the container's. A kernel without keys has none to share.
  if (sys::JoinNewSessionKeyring() < 0 && errno != ENOSYS) return Fail(failure_, "keyctl");
  // As the container's root, to whom the root of mqueue then belongs.
  if (sys::Unshare(CLONE_NEWIPC) != 0) return Fail(failure_, "unshare", "IPC namespace");
  if (sys::MakeAllPrivate() != 0) return Fail(failure_, "mount", "/");
  if (plan_.hostname[0] != '\0' && sethostname(plan_.hostname, strlen(plan_.hostname)) != 0) {
    return Fail(failure_, "sethostname", plan_.hostname);
  }
  return true;
}

bool Pid1::PrepareMounts() {
  trees_ = start_.arena->New<int>(plan_.mounts.size);
  errno = ENOMEM;
  if (trees_ == nullptr) return Fail(failure_, "mmap");
  if (!CreateMounts(plan_, trees_, failure_)) return false;
  int masks = -1;
  if (plan_.masked_paths.size > 0 && !PrepareMasks(&masks, failure_)) return false;
  masks_.Reset(masks);
  steps_.Add("file systems made");
  return true;
}

bool Pid1::ReceiveBinds() {
  for (uint32_t i = 0; i < plan_.mounts.size;) {
    if (!plan_.mounts[i].is_received()) {
      ++i;
      continue;
    }
    if (!Await(Message::kMounts)) return false;
    for (uint32_t next = 0; next < packet_.fd_count && i < plan_.mounts.size; ++i) {
      if (plan_.mounts[i].is_received()) trees_[i] = packet_.fds[next++];
    }
  }
  return true;
}

bool Pid1::BuildRoot() {
  root_.Reset(packet_.fds[0]);
  if (!ReceiveBinds()) return false;
  steps_.Add("root received");
  // Over the present root, which stays in sight until pivot_root: /dev is bound from it.
  if (sys::MoveMount(root_.get(), AT_FDCWD, "/", 0) != 0) return Fail(failure_, "attach the root");
  if (!AttachMounts(plan_, root_.get(), trees_, hierarchies_, failure_)) return false;
  steps_.Add("mounts attached");
  if (!WriteSysctls() || !MaskPaths(plan_, root_.get(), masks_.get(), failure_)) return false;
  masks_.Reset();
  steps_.Add("paths masked");
  const Held workdir(OpenOrMakeDir(root_.get(), plan_.working_dir));
  if (!workdir.valid()) {
    return FailInvalid(failure_, "workdir", "create the working directory", plan_.working_dir);
  }
  if (!FindIdentity(plan_, root_.get(), &identity_, failure_)) return false;
  if (!plan_.read_only_root) return true;
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  return sys::MountSetAttr(root_.get(), 0, &attributes) == 0 ||
         Fail(failure_, "mount_setattr", "the root");
}

// In the container's /proc if it has one: the engine's own may be read-only.
bool Pid1::WriteSysctls() {
  if (plan_.sysctls.size == 0) return true;
  const Held dir(HasMount(Kind::kProc) ? OpenInRoot(root_.get(), "/proc/sys", O_PATH | O_DIRECTORY)
                                       : open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return Fail(failure_, "open", "/proc/sys");
  open_how how{};
  how.flags = O_WRONLY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
  for (const PlannedSysctl& sysctl : plan_.sysctls) {
    const Held file(sys::OpenAt2(dir.get(), sysctl.key, how));
    const size_t size = strlen(sysctl.value);
    if (file.valid() && write(file.get(), sysctl.value, size) == static_cast<ssize_t>(size)) {
      continue;
    }
    MessageText name, field;
    for (const char* c = sysctl.key; *c != '\0'; ++c) name << (*c == '/' ? '.' : *c);
    field << "sysctls[\"" << name.c_str() << "\"]";
    return FailInvalid(failure_, field.c_str(), "set sysctl", name.c_str());
  }
  return true;
}

bool Pid1::PivotRoot() {
  const Held old_root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old_root.valid() || fchdir(root_.get()) != 0) return Fail(failure_, "fchdir");
  if (sys::PivotRoot(".", ".") != 0) return Fail(failure_, "pivot_root");
  // The old root now lies over the new one.
  if (fchdir(old_root.get()) != 0) return Fail(failure_, "fchdir");
  if (sys::Unmount(".", sys::kDetach) != 0) return Fail(failure_, "umount", "the old root");
  if (chdir("/") != 0) return Fail(failure_, "chdir", "/");
  // ".." at the root ends in whatever is mounted over it, which is to be nothing.
  struct stat top, root;
  if (stat("/..", &top) != 0 || fstat(root_.get(), &root) != 0) return Fail(failure_, "stat", "/");
  errno = EBUSY;
  if (top.st_dev != root.st_dev || top.st_ino != root.st_ino)
    return Fail(failure_, "leave the old root");
  root_.Reset();
  steps_.Add("root pivoted");
  return true;
}

bool Pid1::OpenTerminalAsStdio() {
  const Held root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Fail(failure_, "open", "/");
  if (!OpenTerminal(root.get(), plan_.rows, plan_.cols, master_, slave_, failure_)) return false;
  stdio_ = {slave_.get(), slave_.get(), slave_.get()};
  return !HasMount(Kind::kDev) || BindConsole(root.get(), slave_.get(), failure_);
}

bool Pid1::OpenStdio() {
  if (plan_.tty) return OpenTerminalAsStdio();
  // The host's, unless the container has its own.
  stdio_.in = STDIN_FILENO;
  if (plan_.open_stdin) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail(failure_, "pipe2");
    stdio_.in = ends[0];
    stdin_writer_.Reset(ends[1]);
  } else if (HasMount(Kind::kDev)) {
    stdio_.in = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (stdio_.in < 0 || !IsNullDevice(stdio_.in)) return Fail(failure_, "open", "/dev/null");
  }
  // Made here, they belong to the container's root, which may hand them to the workload's user.
  for (int i = 0; i < 2; ++i) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Fail(failure_, "pipe2");
    (i == 0 ? stdout_reader_ : stderr_reader_).Reset(ends[0]);
    (i == 0 ? stdio_.out : stdio_.err) = ends[1];
  }
  if (plan_.merge_output && dup3(stdio_.out, stdio_.err, O_CLOEXEC) < 0) {
    return Fail(failure_, "dup3");
  }
  return true;
}

bool Pid1::ReportReady() {
  steps_.Add("ready");
  int fds[5] = {stdout_reader_.get(), stderr_reader_.get(), stdin_writer_.get()};
  if (plan_.tty) {
    fds[0] = master_.get();
    fds[1] = slave_.get();
  }
  uint32_t count = StdioFdCount(plan_.tty, plan_.open_stdin);
  if (plan_.new_network) {
    fds[count++] = netns_.get();
    fds[count++] = rtnetlink_.get();
  }
  if (!SendMessage(monitor_, Message::kReady, steps_.data(), steps_.bytes(), nullptr, 0, fds,
                   count)) {
    return Fail(failure_, "sendmsg", "monitor");
  }
  Held* const sent[] = {&stdout_reader_, &stderr_reader_, &stdin_writer_,
                        &master_,        &netns_,         &rtnetlink_};
  for (Held* fd : sent) fd->Reset();
  steps_.Clear();
  return true;
}

// `from` is who says when.
bool AwaitReleaseAndTell(int from, Packet& packet) {
  return ReceiveMessage(from, packet) == Received::kMessage && packet.type == Message::kRelease &&
         SendMessage(from, Message::kExecuting, nullptr, 0);
}

void Pid1::BecomeWorkload() {
  if (!PrepareWorkload(plan_, identity_, stdio_, start_.nofile, failure_)) return;
  // Else the monitor has given up, or the filter forbids to read, let alone to run.
  if (!AwaitReleaseAndTell(monitor_, packet_)) _exit(1);
  ExecWorkload(plan_, identity_, failure_);
}

bool Pid1::StartChild() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Fail(failure_, "socketpair");
  }
  child_socket_.Reset(sockets[0]);
  const Held theirs(sockets[1]);
  clone_args args{};
  args.exit_signal = SIGCHLD;
  child_ = sys::Clone3(args);
  if (child_ < 0) return Fail(failure_, "clone3", "workload");
  if (child_ > 0) return true;
  child_socket_.Reset();
  if (PrepareWorkload(plan_, identity_, stdio_, start_.nofile, failure_)) {
    if (!AwaitReleaseAndTell(theirs.get(), packet_)) _exit(1);
    ExecWorkload(plan_, identity_, failure_);
  }
  (void)SendMessage(theirs.get(), Message::kFailed, &failure_, sizeof failure_);
  _exit(1);
}

bool Pid1::ReleaseChild() {
  if (!KeepOnlySignalling(failure_) || !Await(Message::kRelease)) return false;
  // If it has failed meanwhile, it has said so.
  (void)SendMessage(child_socket_.get(), Message::kRelease, nullptr, 0);
  // kExecuting and then the end, which is exec's; or what has failed.
  bool executing = false;
  while (ReceiveMessage(child_socket_.get(), packet_) == Received::kMessage) {
    executing = packet_.type == Message::kExecuting;
    if (const auto* failure = packet_.As<Failure>(); failure != nullptr && !executing) {
      failure_ = *failure;
      return false;
    }
  }
  child_socket_.Reset();
  errno = 0;
  return executing || Fail(failure_, "the workload ended before its command ran");
}

void Pid1::LookAfterChild() {
  steps_.Add("workload exec'd");
  (void)SendMessage(monitor_, Message::kRunning, steps_.data(), steps_.bytes());
  close(stdio_.in);
  // A terminal is all three.
  if (!plan_.tty) {
    close(stdio_.out);
    close(stdio_.err);
  }
  // It may hold secrets.
  start_.arena->Release();
  munmap(const_cast<void*>(start_.message), start_.message_size);
  ReapUntilExit(child_, monitor_);
}

}  // namespace

void RunPid1(const Pid1Start& start) {
  Pid1 self(start);
  if (!self.SetUp()) self.ReportFailure();
  if (!start.plan->init) {
    if (self.ReportReady()) self.BecomeWorkload();
    self.ReportFailure();
  }
  if (!self.StartChild() || !self.ReportReady() || !self.ReleaseChild()) self.ReportFailure();
  self.LookAfterChild();
}

}  // namespace minibox::init
