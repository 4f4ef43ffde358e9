// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_attempt.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/errors.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "init/spec_codec.h"
#include "runtime/init_messages.h"
#include "runtime/monitor_connection_impl.h"

namespace minibox::runtime {
namespace {

// How long a monitor may take to undo a launch before it is killed, which ends PID 1 too.
constexpr int kUndoTimeoutMs = 10'000;

using core::StrCat;

// The descriptors of a launch message in the order of LaunchFdCounts; some are opened for it.
struct LaunchMessageFds {
  init::LaunchFdCounts counts{};
  std::vector<int> fds{};
  std::vector<core::Fd> opened{};

  uint8_t Add(int fd) {
    if (fd < 0) return 0;
    fds.push_back(fd);
    return 1;
  }
  int Own(core::Fd fd) {
    opened.push_back(std::move(fd));
    return opened.back().get();
  }
};

// Where the kernel counts the out-of-memory kills of the group; -1 without memory controller.
int OpenOomEvents(const std::vector<kernel::Cgroup::JoinDir>& dirs, LaunchMessageFds& message) {
  for (const auto& dir : dirs) {
    core::Fd fd(
        openat(dir.fd, dir.v2 ? "memory.events" : "memory.oom_control", O_RDONLY | O_CLOEXEC));
    if (fd.valid()) return message.Own(std::move(fd));
  }
  return -1;
}

// On version 1; -1 elsewhere.
int OpenFreezer(const std::vector<kernel::Cgroup::JoinDir>& dirs, LaunchMessageFds& message) {
  for (const auto& dir : dirs) {
    core::Fd fd(dir.v2 ? -1 : openat(dir.fd, "freezer.state", O_WRONLY | O_CLOEXEC));
    if (fd.valid()) return message.Own(std::move(fd));
  }
  return -1;
}

// `join` comes in between.
Status AddCgroup(const kernel::Cgroup& cgroup, int join, LaunchMessageFds& message) {
  const std::vector<kernel::Cgroup::JoinDir> dirs = cgroup.JoinDirs();
  message.counts.oom_events = message.Add(OpenOomEvents(dirs, message));
  for (const auto& dir : dirs) {
    if (dir.takes_newborns()) message.counts.cgroup_v2 = message.Add(dir.fd);
  }
  message.counts.join = message.Add(join);
  message.counts.freezer = message.Add(OpenFreezer(dirs, message));
  for (const auto& dir : dirs) {
    if (dir.takes_newborns()) continue;
    MBX_ASSIGN_OR_RETURN(core::Fd members, dir.OpenMembers());
    message.counts.cgroup_tasks += message.Add(message.Own(std::move(members)));
  }
  return Status();
}

}  // namespace

LaunchAttempt::LaunchAttempt(StopEvent stop, std::shared_ptr<MonitorReaper> reaper)
    : stop_(std::move(stop)), reaper_(std::move(reaper)) {}

LaunchAttempt::~LaunchAttempt() {
  if (pidfd_.valid()) (void)EndMonitor();  // there is nobody to tell
}

void LaunchAttempt::AddStep(std::string_view name) {
  steps_.push_back({std::string(name), std::chrono::steady_clock::now() - began_});
}

Status LaunchAttempt::Spawn(int image, int null) {
  MBX_ASSIGN_OR_RETURN(SocketPair control, MakeSocketPair());
  core::SpawnOptions options;
  options.executable_fd = image;
  options.argv = {"minibox-init"};
  options.fds = {{null, 0}, {null, 1}, {null, 2}, {control.theirs.get(), init::kControlFd}};
  MBX_ASSIGN_OR_RETURN(core::Spawned spawned, core::Spawn(options));
  control_ = std::move(control.ours);
  pidfd_ = std::move(spawned.pidfd);
  monitor_.pid = spawned.pid;
  AddStep("spawn");
  MBX_ASSIGN_OR_RETURN(monitor_.start_time, core::ProcessStartTime(spawned.pid));
  return Status();
}

Status LaunchAttempt::SendSpec(const init::LaunchSpec& spec, const LaunchFds& fds,
                               const kernel::Cgroup& cgroup, bool capture) {
  LaunchMessageFds message;
  message.counts.data_root = message.Add(fds.data_root);
  message.counts.container_dir = message.Add(fds.container_dir);
  message.counts.run_dir = message.Add(fds.run_dir);
  only_connection_ = fds.run_dir < 0;
  if (capture) {
    MBX_ASSIGN_OR_RETURN(SocketPair output, MakeSocketPair());
    output_ = std::move(output.ours);
    message.counts.capture = message.Add(message.Own(std::move(output.theirs)));
  }
  MBX_RETURN_IF_ERROR(AddCgroup(cgroup, fds.join, message));
  for (const int fd : fds.binds) message.counts.binds += message.Add(fd);
  for (const int fd : fds.held) message.counts.held += message.Add(fd);
  const bool joins = spec.net == init::LaunchSpec::Net::kJoin;
  if (message.counts.data_root == 0 || (message.counts.join != 0) != joins ||
      message.counts.binds != fds.binds.size() || message.counts.held != fds.held.size()) {
    return core::InvalidArgument("fds", "a descriptor is missing");
  }
  if (message.fds.size() > init::kMaxLaunchFds) {
    return core::InvalidArgument("volumes", "too many mounts and ports");
  }
  MBX_ASSIGN_OR_RETURN(const std::string bytes,
                       init::EncodeLaunchSpec(spec, message.counts, cgroup.path()));
  MBX_RETURN_IF_ERROR(SendLaunch(control_.get(), init::Message::kLaunch, bytes, message.fds));
  AddStep("spec sent");
  return Status();
}

Status LaunchAttempt::Receive(init::Message expected) {
  MBX_ASSIGN_OR_RETURN(const StopEvent::Woken woken, stop_.WaitReadable(control_.get()));
  if (woken == StopEvent::Woken::kStopped) return core::Cancelled("the start");
  switch (init::ReceiveMessage(control_.get(), packet_)) {
    case init::Received::kMessage:
      break;
    case init::Received::kError:
      return core::SysError("recvmsg", "minibox-init");
    case init::Received::kNothing:
    case init::Received::kEnd:
      return UnexpectedEnd(EndMonitor());
  }
  if (packet_.type == expected) return Status();
  packet_.CloseFds();
  if (packet_.type == init::Message::kFailed) return FailureIn(packet_);
  return core::Internal("unexpected answer of minibox-init");
}

StatusOr<SetUp> LaunchAttempt::ReceiveSetUp() {
  MBX_RETURN_IF_ERROR(Receive(init::Message::kSetUp));
  AddStep("set-up reported");
  SetUp set_up;
  core::Fd* const targets[] = {&set_up.pidfd, &set_up.netns, &set_up.rtnetlink};
  const uint32_t count = std::min<uint32_t>(packet_.fd_count, std::size(targets));
  for (uint32_t i = 0; i < count; ++i) targets[i]->reset(std::exchange(packet_.fds[i], -1));
  const auto* message = packet_.As<init::SetUpMessage>();
  if (message == nullptr || !set_up.pidfd.valid()) {
    return core::Internal("malformed answer of minibox-init");
  }
  set_up.pid = message->pid;
  std::string_view texts(reinterpret_cast<const char*>(packet_.payload) + sizeof *message,
                         packet_.size - sizeof *message);
  while (!texts.empty()) {
    const size_t end = std::min(texts.find('\0'), texts.size());
    set_up.warnings.emplace_back(texts.substr(0, end));
    texts.remove_prefix(std::min(end + 1, texts.size()));
  }
  return set_up;
}

StatusOr<Launched> LaunchAttempt::Release(SetUp set_up) {
  AddStep("configured");
  // If it has ended meanwhile, Receive finds out.
  (void)init::SendMessage(control_.get(), init::Message::kRelease, nullptr, 0);
  MBX_RETURN_IF_ERROR(Receive(init::Message::kRunning));
  AddStep("running reported");
  for (uint32_t i = 0; i < packet_.size / sizeof(init::Step); ++i) {
    init::Step step;
    std::memcpy(&step, packet_.payload + i * sizeof step, sizeof step);
    const std::chrono::steady_clock::time_point at{std::chrono::nanoseconds(step.ns)};
    steps_.push_back({std::string(TextOf(step.name, sizeof step.name)), at - began_});
  }
  std::stable_sort(steps_.begin(), steps_.end(),
                   [](const LaunchStep& a, const LaunchStep& b) { return a.at < b.at; });
  return Launched{.pid = set_up.pid,
                  .monitor = monitor_,
                  .connection = MonitorConnection(std::make_unique<MonitorConnection::Impl>(
                      std::move(control_), std::move(pidfd_), only_connection_, reaper_)),
                  .output = std::move(output_),
                  .warnings = std::move(set_up.warnings),
                  .steps = std::move(steps_)};
}

StatusOr<core::WaitResult> LaunchAttempt::EndMonitor() {
  // A monitor that hears this or the end of the connection undoes everything and ends.
  (void)init::SendMessage(control_.get(), init::Message::kAbort, nullptr, 0, nullptr, 0, nullptr, 0,
                          false);
  control_.reset();
  output_.reset();  // or it would wait for us to read
  const core::Fd pidfd = std::move(pidfd_);
  pollfd polled{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  int ready;
  do {
    ready = poll(&polled, 1, kUndoTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  // PID 1 is killed with it.
  if (ready <= 0) (void)core::sys::PidfdSendSignal(pidfd.get(), SIGKILL);
  return core::WaitPidfd(pidfd.get());
}

}  // namespace minibox::runtime
