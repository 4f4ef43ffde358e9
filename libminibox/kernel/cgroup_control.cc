// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_control.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <set>
#include <utility>

#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "kernel/cgroup_tree.h"

namespace minibox::kernel {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kControlBytes = 1 << 20, kLineBytes = 4096;
constexpr size_t kPidsBytes = 64 << 20;
constexpr int kMaxDepth = 64;
// At most so many descriptors are used to kill a group.
constexpr size_t kPidfdBatch = 256;
// Version 1 says "no limit" with the largest number of whole pages.
constexpr uint64_t kUnlimited = uint64_t{1} << 62;
constexpr unsigned kMaxCpu = 1 << 16;

// Bytes, unlimited as kUnlimited.
std::optional<uint64_t> ParseBytes(std::string_view text) {
  if (text == "max" || text == "-1") return kUnlimited;
  const auto number = core::ParseUint64(text);
  if (!number) return std::nullopt;
  return std::min(*number, kUnlimited);
}

bool InForce(const CgroupSetting& setting, std::string_view actual) {
  switch (setting.read_back) {
    case CgroupSetting::ReadBack::kSame:
      return actual == setting.value;
    case CgroupSetting::ReadBack::kBytes: {
      // The kernel keeps whole pages.
      static const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
      const auto wanted = ParseBytes(setting.value), is = ParseBytes(actual);
      return wanted && is && *is <= *wanted && *wanted - *is < page;
    }
    case CgroupSetting::ReadBack::kCpus: {
      const auto wanted = ParseCpuList(setting.value);
      return wanted && wanted == ParseCpuList(actual);
    }
    case CgroupSetting::ReadBack::kWeight: {
      constexpr std::string_view kDefault = "default ";
      if (actual.starts_with(kDefault)) actual.remove_prefix(kDefault.size());
      return actual == setting.value;
    }
  }
  return false;
}

Status Refused(const CgroupSetting& setting, const Status& cause) {
  switch (cause.sys_errno()) {
    case ENOENT:
    case ENODEV:
    case EACCES:
    case EPERM:
    case EROFS:
    case EOPNOTSUPP:
      return ControllerMissing(setting.field, setting.controller, cause.message());
    case EBUSY:
      return core::FailedPrecondition(
                 "", core::StrCat("cannot apply ", setting.field, ": ", cause.message()))
          .WithField(setting.field);
    default:
      return core::InvalidArgument(
          setting.field, core::StrCat("cgroup controller ", setting.controller, " refuses '",
                                      setting.value, "': ", cause.message()));
  }
}

Status ApplyOne(const CgroupSetting& setting) {
  if (Status written = WriteControl(setting.dir, setting.file, setting.value); !written.ok()) {
    return Refused(setting, written);
  }
  auto actual = ReadControl(setting.dir, setting.file);
  if (!actual.ok()) return Refused(setting, actual.status());
  // On v2 any list is taken, and what is in force is in another file.
  if (setting.read_back == CgroupSetting::ReadBack::kCpus) {
    if (auto effective = ReadControl(setting.dir, "cpuset.cpus.effective"); effective.ok()) {
      actual = std::move(effective);
    }
  }
  if (InForce(setting, *actual)) return Status();
  return core::InvalidArgument(
      setting.field, core::StrCat("cgroup controller ", setting.controller, " made '", *actual,
                                  "' of '", setting.value, "' in ", setting.file));
}

Status CollectPids(int dir, int depth, std::vector<int>& pids) {
  if (depth > kMaxDepth) return core::SysError("cgroup.procs", "too deep", ELOOP);
  auto text = core::ReadFileAt(dir, "cgroup.procs", kPidsBytes);
  if (!text.ok()) return text.status();
  for (const std::string_view line : core::StrSplit(*text, '\n')) {
    // 0 is a process that our pid namespace does not see.
    const auto pid = core::ParseInt64(line);
    if (pid && *pid > 0) pids.push_back(static_cast<int>(*pid));
  }
  const auto below = SubGroups(dir);
  if (!below.ok()) return below.status();
  for (const std::string& name : *below) {
    const auto child = OpenGroupDir(dir, name);
    if (child.ok()) MBX_RETURN_IF_ERROR(CollectPids(child->get(), depth + 1, pids));
  }
  return Status();
}

// Sends SIGKILL to the processes now in the group, and gives their pidfds.
StatusOr<std::vector<core::Fd>> SignalAll(int dir) {
  MBX_ASSIGN_OR_RETURN(std::vector<int> pids, ReadPids(dir));
  if (pids.size() > kPidfdBatch) pids.resize(kPidfdBatch);
  std::vector<std::pair<int, core::Fd>> opened;
  for (const int pid : pids) {
    core::Fd pidfd(core::sys::PidfdOpen(pid));
    if (pidfd.valid()) {
      opened.emplace_back(pid, std::move(pidfd));
    } else if (errno != ESRCH) {
      return core::SysError("pidfd_open", core::StrCat(pid));
    }
  }
  // A pid may have changed hands between the list and pidfd_open. What is still listed was in
  // the group when its descriptor was opened.
  MBX_ASSIGN_OR_RETURN(const std::vector<int> still, ReadPids(dir));
  std::vector<core::Fd> killed;
  for (auto& [pid, pidfd] : opened) {
    if (!std::binary_search(still.begin(), still.end(), pid)) continue;
    if (core::sys::PidfdSendSignal(pidfd.get(), SIGKILL) != 0 && errno != ESRCH) {
      return core::SysError("pidfd_send_signal", core::StrCat(pid));
    }
    killed.push_back(std::move(pidfd));
  }
  return killed;
}

// False if time is up.
bool WaitForExits(std::vector<core::Fd> pidfds, steady_clock::time_point deadline) {
  while (!pidfds.empty()) {
    std::vector<struct pollfd> polled;
    for (const core::Fd& pidfd : pidfds) polled.push_back({pidfd.get(), POLLIN, 0});
    const auto left =
        std::chrono::duration_cast<milliseconds>(deadline - steady_clock::now()).count();
    if (left <= 0) return false;
    if (poll(polled.data(), polled.size(), static_cast<int>(left)) < 0 && errno != EINTR) {
      return false;
    }
    std::vector<core::Fd> running;
    for (size_t i = 0; i < pidfds.size(); ++i) {
      if (polled[i].revents == 0) running.push_back(std::move(pidfds[i]));
    }
    pidfds = std::move(running);
  }
  return true;
}

}  // namespace

std::optional<std::set<unsigned>> ParseCpuList(std::string_view text) {
  std::set<unsigned> cpus;
  for (const std::string_view part : core::StrSplit(text, ',')) {
    const size_t dash = part.find('-');
    const auto first = core::ParseUint64(part.substr(0, dash));
    const auto last =
        dash == std::string_view::npos ? first : core::ParseUint64(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last > kMaxCpu) return std::nullopt;
    for (uint64_t cpu = *first; cpu <= *last; ++cpu) cpus.insert(static_cast<unsigned>(cpu));
  }
  return cpus;
}

bool HasControl(int dir, const std::string& file) {
  return faccessat(dir, file.c_str(), F_OK, 0) == 0;
}

StatusOr<std::string> ReadControl(int dir, const std::string& file) {
  // The kernel gives a file of one value in one read(2).
  const core::Fd fd(openat(dir, file.c_str(), O_RDONLY | O_NOCTTY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("openat", file);
  char buffer[kLineBytes];
  ssize_t size = -1;
  do {
    size = read(fd.get(), buffer, sizeof buffer);
  } while (size < 0 && errno == EINTR);
  if (size < 0) return core::SysError("read", file);
  const std::string_view text(buffer, static_cast<size_t>(size));
  const size_t end = text.find('\n');
  if (end == std::string_view::npos && text.size() == sizeof buffer) {
    return core::SysError("read", file, EFBIG);
  }
  return std::string(core::TrimSpace(text.substr(0, end)));
}

Status WriteControl(int dir, const std::string& file, std::string_view value) {
  return core::WriteKernelFileAt(dir, file, core::StrCat(value, '\n'));
}

uint64_t ReadNumber(int dir, const std::string& file) {
  const auto text = ReadControl(dir, file);
  const auto number = text.ok() ? core::ParseUint64(*text) : std::nullopt;
  return number && *number < kUnlimited ? *number : 0;
}

bool ForEachLine(int dir, const std::string& file,
                 const std::function<void(std::string_view line)>& line) {
  const auto text = core::ReadFileAt(dir, file, kControlBytes);
  if (!text.ok()) return false;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return true;
}

uint64_t ReadKeyedNumber(int dir, const std::string& file, std::string_view key) {
  const auto text = core::ReadFileAt(dir, file, kControlBytes);
  if (!text.ok()) return 0;
  for (std::string_view line : core::StrSplit(*text, '\n')) {
    if (!line.starts_with(key) || line.substr(key.size(), 1) != " ") continue;
    return core::ParseUint64(line.substr(key.size() + 1)).value_or(0);
  }
  return 0;
}

StatusOr<std::vector<int>> ReadPids(int dir) {
  std::vector<int> pids;
  const Status read = CollectPids(dir, 0, pids);
  // A group that is gone has none.
  if (!read.ok() && read.sys_errno() != ENODEV && read.sys_errno() != ENOENT) return read;
  std::sort(pids.begin(), pids.end());
  pids.erase(std::unique(pids.begin(), pids.end()), pids.end());
  return pids;
}

Status KillEach(int dir, const std::function<void(bool)>& hold) {
  const auto deadline = steady_clock::now() + kCgroupTimeout;
  while (true) {
    hold(true);
    auto killed = SignalAll(dir);
    hold(false);
    if (!killed.ok()) return killed.status();
    MBX_ASSIGN_OR_RETURN(const std::vector<int> left, ReadPids(dir));
    if (left.empty() && killed->empty()) return Status();
    if (!WaitForExits(std::move(*killed), deadline) || steady_clock::now() > deadline) {
      return core::Error(StatusCode::kDeadlineExceeded, "",
                         core::StrCat(left.size(), " processes do not end after SIGKILL"));
    }
  }
}

Status ApplySettings(const std::vector<CgroupSetting>& settings, bool fresh) {
  std::vector<std::pair<const CgroupSetting*, std::string>> before;
  for (const CgroupSetting& setting : settings) {
    if (!fresh) {
      if (auto old = ReadControl(setting.dir, setting.file); old.ok()) {
        before.emplace_back(&setting, std::move(*old));
      }
    }
    Status applied = ApplyOne(setting);
    if (applied.ok()) continue;
    for (auto it = before.rbegin(); it != before.rend(); ++it) {
      // They were in force a moment ago; if one is not taken any more, the failure that we
      // report is still the cause.
      (void)WriteControl(it->first->dir, it->first->file, it->second);
    }
    return applied;
  }
  return Status();
}

Status ControllerMissing(std::string_view field, std::string_view controller,
                         std::string_view why) {
  return core::Error(StatusCode::kInternal, "unsupported_by_host",
                     core::StrCat("cannot apply ", field, ": cgroup controller ", controller,
                                  " is not available: ", why))
      .WithField(field);
}

Status CheckMemoryUse(int64_t limit, uint64_t used) {
  if (limit < 0 || used <= static_cast<uint64_t>(limit)) return Status();
  return core::FailedPrecondition(
             "", core::StrCat("memory: ", limit, " bytes is below the present use of ", used))
      .WithField("memory");
}

Status CheckLimits(const CgroupLimits& limits) {
  if (limits.memory_swap_bytes && *limits.memory_swap_bytes >= 0) {
    if (!limits.memory_bytes || *limits.memory_bytes < 0) {
      return core::InvalidArgument("memory_swap", "needs a limit of memory");
    }
    if (*limits.memory_swap_bytes < *limits.memory_bytes) {
      return core::InvalidArgument("memory_swap", "must not be less than memory");
    }
  }
  if (limits.io_weight && (*limits.io_weight < 1 || *limits.io_weight > 1000)) {
    return core::InvalidArgument("io_weight", "must be 1 to 1000");
  }
  if (!limits.cpuset.empty() && !ParseCpuList(limits.cpuset)) {
    return core::InvalidArgument(
        "cpuset", core::StrCat("'", core::EscapeControl(limits.cpuset), "' is not a list of CPUs"));
  }
  return Status();
}

}  // namespace minibox::kernel
