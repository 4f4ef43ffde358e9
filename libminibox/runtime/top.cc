// SPDX-License-Identifier: Apache-2.0
// The processes of a container (spec §4.5, §12.16).
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/proc_files.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {

namespace {

using std::chrono::microseconds;

constexpr size_t kMaxProcFile = 1 << 20;
constexpr size_t kMaxCommand = 64 << 10;
constexpr size_t kMaxPasswd = 1 << 20;
constexpr uint32_t kNobody = 65534;

// Names of the container's users by number; whatever it cannot tell is shown as numbers.
std::map<uint32_t, std::string> ReadUsers(int pid) {
  std::map<uint32_t, std::string> users;
  core::Fd root(
      open(core::StrCat("/proc/", pid, "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return users;
  const core::RootDir inside(std::move(root));
  // A FIFO or device of that name must not hold us up.
  const auto st = inside.Stat("/etc/passwd");
  if (!st.ok() || !S_ISREG(st->st_mode)) return users;
  const auto fd = inside.OpenAt("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd.ok()) return users;
  const auto text = core::ReadAll(fd->get(), kMaxPasswd);
  if (!text.ok()) return users;
  for (const std::string_view line : core::StrSplit(*text, '\n')) {
    const auto fields = core::StrSplit(line, ':');
    if (fields.size() < 4) continue;
    const auto uid = core::ParseUint64(fields[2]);
    if (uid && *uid <= UINT32_MAX) users.emplace(static_cast<uint32_t>(*uid), fields[0]);
  }
  return users;
}

uint32_t InsideUid(uint32_t uid, const runtime::IdRange& ids) {
  if (ids.count == 0) return uid;
  return uid >= ids.base && uid - ids.base < ids.count ? uid - ids.base : kNobody;
}

std::string Command(const core::Fd& proc, const std::string& name) {
  auto text = core::ReadFileAt(proc.get(), "cmdline", kMaxCommand);
  if (!text.ok() || text->empty()) return core::StrCat("[", name, "]");
  while (!text->empty() && text->back() == '\0') text->pop_back();
  std::replace(text->begin(), text->end(), '\0', ' ');
  return *text;
}

}  // namespace

StatusOr<std::vector<ProcessInfo>> Runtime::Impl::Top(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, ObserveLive(id));
  auto cgroup = cgroups->Open(id.ToString());
  if (!cgroup.ok()) {
    MBX_RETURN_IF_ERROR(ObserveLive(id).status());
    return cgroup.status();
  }
  MBX_ASSIGN_OR_RETURN(std::vector<int> pids, (*cgroup)->Pids());
  std::sort(pids.begin(), pids.end());
  const std::map<uint32_t, std::string> users = ReadUsers(record.info.pid);
  const int64_t ticks = sysconf(_SC_CLK_TCK), page = sysconf(_SC_PAGESIZE);
  timespec boot{};
  clock_gettime(CLOCK_BOOTTIME, &boot);
  const microseconds up(boot.tv_sec * 1'000'000 + boot.tv_nsec / 1000);
  const TimePoint now = std::chrono::system_clock::now();
  std::vector<ProcessInfo> processes;
  for (const int pid : pids) {
    const auto proc = runtime::OpenProc(pid);
    if (!proc.ok()) continue;  // it has ended
    const auto stat_text = core::ReadFileAt(proc->get(), "stat", kMaxProcFile);
    const auto status_text = core::ReadFileAt(proc->get(), "status", kMaxProcFile);
    if (!stat_text.ok() || !status_text.ok()) continue;
    const auto stat = runtime::ParseProcStat(*stat_text);
    const auto status = runtime::ParseProcStatus(*status_text);
    if (!stat || !status) continue;
    ProcessInfo process;
    process.pid = pid;
    process.container_pid = status->container_pid;
    process.parent_pid = stat->parent;
    const uint32_t uid = InsideUid(status->uid, record.ids);
    const auto user = users.find(uid);
    process.user = user != users.end() ? user->second : std::to_string(uid);
    process.cpu_time = microseconds(static_cast<int64_t>(stat->cpu_ticks) * 1'000'000 / ticks);
    process.memory_bytes = stat->resident_pages * static_cast<uint64_t>(page);
    const microseconds begun(static_cast<int64_t>(stat->start_ticks) * 1'000'000 / ticks);
    process.started = now - (up - begun);
    if (up > begun) {
      process.cpu_percent = 100.0 * static_cast<double>(process.cpu_time.count()) /
                            static_cast<double>((up - begun).count());
    }
    process.command = Command(*proc, stat->name);
    processes.push_back(std::move(process));
  }
  return processes;
}

StatusOr<std::vector<ProcessInfo>> Runtime::Top(const ContainerId& id) const {
  return impl_->Top(id);
}

}  // namespace v1
}  // namespace minibox
