// SPDX-License-Identifier: Apache-2.0
#include "core/process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"

namespace minibox::core {
namespace {

constexpr size_t kChildStack = 64 * 1024;
constexpr int kSignals = 64;
constexpr size_t kMaxProcFile = 4096;

// What the child needs, prepared by the parent, whose memory it shares until exec. Plain data:
// the child must neither allocate nor lock.
struct ChildPlan {
  int executable = -1;
  const char* const* argv = nullptr;
  const char* const* env = nullptr;
  bool new_session = false;

  struct Move {
    int from, to;
    int parked;  // where the child keeps `from` while the targets are filled
  };
  Move* moves = nullptr;
  size_t move_count = 0;
  int park_from = 0;  // first number above all targets

  struct Range {
    unsigned first, last;
  };
  const Range* closed = nullptr;
  size_t closed_count = 0;

  // The answer.
  int error = 0;
  const char* step = nullptr;
};

// Instrumented code keeps per-thread state, and this runs as the parent's thread.
#define MBX_NOT_INSTRUMENTED __attribute__((no_sanitize("address", "thread", "undefined")))

MBX_NOT_INSTRUMENTED bool PrepareChild(ChildPlan& plan) {
  for (int signal = 1; signal <= kSignals; ++signal) sys::ResetSignal(signal);
  if (plan.new_session && setsid() < 0) {
    plan.step = "setsid";
    return false;
  }
  // First everything is parked above the targets: a target may be the number of another source.
  plan.step = "fcntl";
  plan.executable = fcntl(plan.executable, F_DUPFD_CLOEXEC, plan.park_from);
  if (plan.executable < 0) return false;
  for (size_t i = 0; i < plan.move_count; ++i) {
    plan.moves[i].parked = fcntl(plan.moves[i].from, F_DUPFD_CLOEXEC, plan.park_from);
    if (plan.moves[i].parked < 0) return false;
  }
  plan.step = "dup2";
  for (size_t i = 0; i < plan.move_count; ++i) {
    if (dup2(plan.moves[i].parked, plan.moves[i].to) < 0) return false;
  }
  plan.step = "close_range";
  for (size_t i = 0; i < plan.closed_count; ++i) {
    if (sys::CloseRange(plan.closed[i].first, plan.closed[i].last, CLOSE_RANGE_CLOEXEC) != 0) {
      return false;
    }
  }
  sys::SetSignalMask(0);
  plan.step = "execveat";
  return true;
}

MBX_NOT_INSTRUMENTED void RunChild(void* argument) {
  ChildPlan& plan = *static_cast<ChildPlan*>(argument);
  if (PrepareChild(plan)) {
    (void)sys::Execveat(plan.executable, "", plan.argv, plan.env, AT_EMPTY_PATH);
  }
  plan.error = errno;
}

std::vector<const char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<const char*> pointers;
  for (const std::string& s : strings) pointers.push_back(s.c_str());
  pointers.push_back(nullptr);
  return pointers;
}

Status CheckStrings(std::string_view field, const std::vector<std::string>& strings) {
  for (const std::string& s : strings) {
    if (s.find('\0') != std::string::npos) return InvalidArgument(field, "contains a NUL byte");
  }
  return Status();
}

// The numbers that are no target, which close on exec.
StatusOr<std::vector<ChildPlan::Range>> NumbersBetween(
    const std::vector<std::pair<int, int>>& fds) {
  std::vector<int> targets;
  for (const auto& [ours, theirs] : fds) {
    if (ours < 0 || theirs < 0) return InvalidArgument("fds", "negative descriptor");
    targets.push_back(theirs);
  }
  std::sort(targets.begin(), targets.end());
  if (std::adjacent_find(targets.begin(), targets.end()) != targets.end()) {
    return InvalidArgument("fds", "two descriptors for one number");
  }
  std::vector<ChildPlan::Range> ranges;
  unsigned first = 0;
  for (const int target : targets) {
    if (static_cast<unsigned>(target) > first) {
      ranges.push_back({first, static_cast<unsigned>(target) - 1});
    }
    first = static_cast<unsigned>(target) + 1;
  }
  ranges.push_back({first, ~0u});
  return ranges;
}

// ioctl(PIDFD_GET_INFO), which Debian 12's headers do not have.
struct PidfdInfo {
  uint64_t mask, cgroup;
  uint32_t pid, tgid, ppid, ids[8];
  int32_t exit_code;
};
constexpr unsigned long kPidfdGetInfo = _IOWR(0xff, 11, PidfdInfo);
constexpr uint64_t kPidfdInfoExit = 1u << 3;

// The result of a child that somebody else reaped.
StatusOr<WaitResult> ResultOfReaped(int pidfd) {
  PidfdInfo info{.mask = kPidfdInfoExit};
  if (ioctl(pidfd, kPidfdGetInfo, &info) != 0 || (info.mask & kPidfdInfoExit) == 0) {
    return SysError("waitid", StrCat("pidfd ", pidfd), ECHILD);
  }
  if (WIFSIGNALED(info.exit_code)) {
    const int signal = WTERMSIG(info.exit_code);
    return WaitResult{.code = 128 + signal, .signal = signal};
  }
  return WaitResult{.code = WEXITSTATUS(info.exit_code), .signal = 0};
}

StatusOr<WaitResult> ResultOf(const siginfo_t& info) {
  switch (info.si_code) {
    case CLD_EXITED:
      return WaitResult{.code = info.si_status, .signal = 0};
    case CLD_KILLED:
    case CLD_DUMPED:
      return WaitResult{.code = 128 + info.si_status, .signal = info.si_status};
    default:
      return Internal(StrCat("waitid: unexpected si_code ", info.si_code));
  }
}

}  // namespace

StatusOr<Spawned> Spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return InvalidArgument("argv", "is empty");
  MBX_RETURN_IF_ERROR(CheckStrings("argv", options.argv));
  MBX_RETURN_IF_ERROR(CheckStrings("env", options.env));
  MBX_ASSIGN_OR_RETURN(const std::vector<ChildPlan::Range> closed, NumbersBetween(options.fds));
  const std::vector<const char*> argv = Pointers(options.argv), env = Pointers(options.env);
  std::vector<ChildPlan::Move> moves;
  ChildPlan plan;
  for (const auto& [ours, theirs] : options.fds) {
    moves.push_back({ours, theirs, -1});
    plan.park_from = std::max(plan.park_from, theirs + 1);
  }
  plan.executable = options.executable_fd;
  plan.argv = argv.data();
  plan.env = env.data();
  plan.new_session = options.new_session;
  plan.moves = moves.data();
  plan.move_count = moves.size();
  plan.closed = closed.data();
  plan.closed_count = closed.size();

  void* stack = mmap(nullptr, kChildStack, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return SysError("mmap", "stack of a new process");
  const absl::Cleanup unmap = [stack] { (void)munmap(stack, kChildStack); };

  // A handler of the host that ran in the child would work on the host's memory.
  const uint64_t mask = sys::BlockAllSignals();
  int pidfd = -1;
  const pid_t pid = sys::Clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD, &pidfd, stack, kChildStack,
                                RunChild, &plan);
  const int error = errno;
  sys::SetSignalMask(mask);
  if (pid < 0) return SysError("clone3", "", error);
  Spawned spawned{.pid = pid, .pidfd = Fd(pidfd)};
  if (plan.error != 0) {
    // It has ended already. Its status says nothing that plan.error does not.
    (void)WaitPidfd(pidfd);
    return SysError(plan.step, options.argv[0], plan.error);
  }
  return spawned;
}

StatusOr<WaitResult> WaitPidfd(int pidfd) {
  siginfo_t info{};
  // __WALL: until exec such a child has no exit signal, and is not waited for otherwise.
  const auto type = static_cast<idtype_t>(P_PIDFD);
  while (waitid(type, static_cast<id_t>(pidfd), &info, WEXITED | __WALL) != 0) {
    if (errno == ECHILD) return ResultOfReaped(pidfd);
    if (errno != EINTR) return SysError("waitid", StrCat("pidfd ", pidfd));
  }
  return ResultOf(info);
}

StatusOr<uint64_t> ProcessStartTime(pid_t pid) {
  const std::string name = StrCat("/proc/", pid, "/stat");
  auto text = ReadFileAt(AT_FDCWD, name, kMaxProcFile);
  if (!text.ok()) {
    if (text.status().sys_errno() != ENOENT && text.status().sys_errno() != ESRCH) {
      return text.status();
    }
    return Status(StatusCode::kNotFound, StrCat("no process ", pid), {.sys_errno = ESRCH});
  }
  // The command in field 2 may itself contain blanks and parentheses.
  const size_t close = text->rfind(')');
  if (close == std::string::npos) return DataLoss(StrCat(name, ": malformed"));
  const auto fields = StrSplit(std::string_view(*text).substr(close + 1), ' ');
  constexpr size_t kStartTime = 22 - 2;
  const auto ticks =
      fields.size() > kStartTime ? ParseUint64(fields[kStartTime]) : std::optional<uint64_t>();
  if (!ticks) return DataLoss(StrCat(name, ": malformed"));
  return *ticks;
}

StatusOr<std::string> BootId() {
  MBX_ASSIGN_OR_RETURN(const std::string text,
                       ReadFileAt(AT_FDCWD, "/proc/sys/kernel/random/boot_id", kMaxProcFile));
  return std::string(TrimSpace(text));
}

}  // namespace minibox::core
