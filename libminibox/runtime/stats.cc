// SPDX-License-Identifier: Apache-2.0
// What containers use (spec §5.4, §12.16).
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/proc_files.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

using runtime::CpuSample;
using std::chrono::steady_clock;

constexpr size_t kMaxNetDev = 1 << 20;
constexpr size_t kContainersPerThread = 32;  // whose files take longer than a thread's start

// What a cgroup does not tell, as the keys of the stats.
void AddUnavailable(const std::vector<std::string>& parts, std::vector<std::string>& keys) {
  const std::pair<std::string_view, std::vector<std::string_view>> kKeys[] = {
      {"memory",
       {"memory_usage", "memory_limit", "memory_working_set", "memory_peak", "swap_usage",
        "oom_kills"}},
      {"memory_peak", {"memory_peak"}},
      {"swap", {"swap_usage"}},
      {"cpu", {"cpu_usage_usec", "cpu_percent"}},
      {"cpu_throttled", {"cpu_throttled_usec"}},
      {"io", {"block_input", "block_output"}},
      {"pids", {"pids", "pids_limit"}}};
  for (const auto& [part, names] : kKeys) {
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) continue;
    for (const std::string_view name : names) keys.emplace_back(name);
  }
}

// 0 if there is no telling.
ino_t NetworkNamespace(int dir, const char* path) {
  struct stat st {};
  return fstatat(dir, path, &st, 0) == 0 ? st.st_ino : 0;
}

}  // namespace

struct Runtime::Impl::Measured {
  ContainerStats stats;
  CpuSample cpu;
};

StatusOr<runtime::ContainerRecord> Runtime::Impl::ObserveLive(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, Observe(id));
  if (!runtime::IsLive(record.info.state)) {
    return core::FailedPrecondition(
        "container_not_running",
        core::StrCat("container ", id.ToString(), " is ", runtime::StateName(record.info.state)));
  }
  return record;
}

StatusOr<Runtime::Impl::Measured> Runtime::Impl::Measure(
    const runtime::ContainerRecord& record) const {
  const ContainerInfo& info = record.info;
  Measured measured{.stats = {.id = info.id}, .cpu = {}};
  ContainerStats& stats = measured.stats;
  measured.cpu.at = steady_clock::now();
  MBX_ASSIGN_OR_RETURN(const kernel::CgroupUsage usage, cgroups->Usage(info.id.ToString()));
  measured.cpu.usec = usage.cpu_usec;
  stats.name = info.name;
  stats.at = std::chrono::system_clock::now();
  stats.memory_usage = usage.memory_bytes;
  stats.memory_limit = usage.memory_limit;
  stats.memory_working_set = usage.memory_working_set;
  stats.memory_peak = usage.memory_peak;
  stats.swap_usage = usage.swap_bytes;
  stats.cpu_usage_usec = usage.cpu_usec;
  stats.cpu_throttled_usec = usage.cpu_throttled_usec;
  stats.pids = usage.pids;
  stats.pids_limit = usage.pids_limit;
  stats.block_input = usage.io_read_bytes;
  stats.block_output = usage.io_written_bytes;
  stats.oom_kills = usage.oom_kills;
  AddUnavailable(usage.unavailable, stats.unavailable);
  // Of its own namespace; the host's interfaces say nothing about a container.
  const auto proc = runtime::OpenProc(info.pid);
  const ino_t network = proc.ok() ? NetworkNamespace(proc->get(), "ns/net") : 0;
  const auto text = network != 0 && network != NetworkNamespace(AT_FDCWD, "/proc/self/ns/net")
                        ? core::ReadFileAt(proc->get(), "net/dev", kMaxNetDev)
                        : StatusOr<std::string>(core::NotFound("", "no network of its own"));
  if (text.ok()) {
    const runtime::NetCounters net = runtime::ParseNetDev(*text);
    stats.net_input = net.received;
    stats.net_output = net.sent;
  } else {
    stats.unavailable.insert(stats.unavailable.end(), {"net_input", "net_output"});
  }
  return measured;
}

StatusOr<ContainerStats> Runtime::Impl::Stats(const ContainerId& id) {
  MBX_RETURN_IF_ERROR(ObserveLive(id).status());
  const std::vector<CpuSample> bases = cpu_sampler_->Ask({id});
  // It may have ended while the first sample was taken.
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, ObserveLive(id));
  auto measured = Measure(record);
  if (!measured.ok()) {
    MBX_RETURN_IF_ERROR(ObserveLive(id).status());
    return measured.status();
  }
  measured->stats.cpu_percent = runtime::CpuPercent(bases[0], measured->cpu);
  return std::move(measured->stats);
}

StatusOr<std::vector<ContainerStats>> Runtime::Impl::AllStats() {
  MBX_ASSIGN_OR_RETURN(std::vector<SharedRecord> records, ObserveAll());
  // What does not run has nothing to tell.
  std::erase_if(records,
                [](const SharedRecord& record) { return !runtime::IsLive(record->info.state); });
  std::vector<ContainerId> ids;
  for (const SharedRecord& record : records) ids.push_back(record->info.id);
  const std::vector<CpuSample> bases = cpu_sampler_->Ask(ids);
  std::vector<std::optional<StatusOr<Measured>>> all(records.size());
  MBX_RETURN_IF_ERROR(core::ForEachIndex(records.size(), core::WorkerThreads(),
                                         kContainersPerThread, [&](size_t i, size_t) {
                                           all[i] = Measure(*records[i]);
                                           return Status();
                                         }));
  std::vector<ContainerStats> stats;
  stats.reserve(all.size());
  for (size_t i = 0; i < all.size(); ++i) {
    StatusOr<Measured>& measured = *all[i];
    if (!measured.ok()) {
      if (measured.status().code() != StatusCode::kNotFound) {
        core::LogWarning("runtime", core::StrCat("stats of container ", ids[i].ToString(), ": ",
                                                 measured.status().message(), ", left out"));
      }
      continue;
    }
    measured->stats.cpu_percent = runtime::CpuPercent(bases[i], measured->cpu);
    stats.push_back(std::move(measured->stats));
  }
  return stats;
}

StatusOr<ContainerStats> Runtime::Stats(const ContainerId& id) const { return impl_->Stats(id); }

StatusOr<std::vector<ContainerStats>> Runtime::AllStats() const { return impl_->AllStats(); }

}  // namespace v1
}  // namespace minibox
