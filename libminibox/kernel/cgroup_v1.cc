// SPDX-License-Identifier: Apache-2.0
#include <poll.h>

#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/cgroup_dialect.h"

namespace minibox::kernel {
namespace {

using ReadBack = CgroupSetting::ReadBack;
using std::chrono::steady_clock;

constexpr char kLimit[] = "memory.limit_in_bytes";
constexpr char kLimitWithSwap[] = "memory.memsw.limit_in_bytes";
constexpr char kFreezerState[] = "freezer.state";

// blkio.weight is 10 to 1000.
int ScaleWeight(int weight) { return 10 + (weight - 1) * 990 / 999; }

class V1 final : public CgroupDialect {
 public:
  std::string_view ControllerName(std::string_view resource) const override {
    return resource == "io" ? "blkio" : resource;
  }

  Status Descend(int parent, int child, const std::vector<std::string>&,
                 std::map<std::string, std::string>&) const override {
    // A new cpuset is empty, and nothing can join an empty one. Another process may be doing
    // the same with the same values.
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
      const auto own = ReadControl(child, file);
      if (!own.ok() || !own->empty()) continue;
      MBX_ASSIGN_OR_RETURN(const std::string inherited, ReadControl(parent, file));
      MBX_RETURN_IF_ERROR(WriteControl(child, file, inherited));
    }
    return Status();
  }

  Status PlanMemory(int dir, const CgroupLimits& limits, bool fresh,
                    CgroupSettings& settings) const override {
    const bool counts_swap = HasControl(dir, kLimitWithSwap);
    if (!counts_swap && limits.memory_swap_bytes.value_or(-1) >= 0) {
      return ControllerMissing("memory_swap", "memory",
                               core::StrCat("the kernel has no ", kLimitWithSwap));
    }
    if (!limits.memory_bytes) return Status();
    const int64_t limit = *limits.memory_bytes;
    if (!fresh) {
      MBX_RETURN_IF_ERROR(CheckMemoryUse(limit, ReadNumber(dir, "memory.usage_in_bytes")));
    }
    CgroupSetting memory = {"memory", "memory", dir, kLimit, core::StrCat(limit), ReadBack::kBytes};
    if (!counts_swap) {
      settings.push_back(std::move(memory));
      return Status();
    }
    const int64_t with_swap = limits.memory_swap_bytes.value_or(limit);
    CgroupSetting swap = {"memory_swap",           "memory",        dir, kLimitWithSwap,
                          core::StrCat(with_swap), ReadBack::kBytes};
    // memory may at no time be above memory + swap; 0 is no limit yet.
    const uint64_t present = ReadNumber(dir, kLimitWithSwap);
    const bool grows = present != 0 && (limit < 0 || static_cast<uint64_t>(limit) > present);
    settings.push_back(grows ? std::move(swap) : std::move(memory));
    settings.push_back(grows ? std::move(memory) : std::move(swap));
    return Status();
  }

  void PlanCpu(int dir, int64_t quota_us, CgroupSettings& settings) const override {
    settings.push_back({"cpu", "cpu", dir, "cpu.cfs_period_us", core::StrCat(kCpuPeriodUs)});
    settings.push_back(
        {"cpu", "cpu", dir, "cpu.cfs_quota_us", core::StrCat(quota_us < 0 ? -1 : quota_us)});
  }

  Status PlanIoWeight(int dir, uint16_t weight, CgroupSettings& settings) const override {
    if (HasControl(dir, "blkio.weight")) {
      settings.push_back({"io_weight", "blkio", dir, "blkio.weight",
                          core::StrCat(ScaleWeight(weight)), ReadBack::kWeight});
    } else if (HasControl(dir, "blkio.bfq.weight")) {
      settings.push_back(
          {"io_weight", "blkio", dir, "blkio.bfq.weight", core::StrCat(weight), ReadBack::kWeight});
    } else {
      return ControllerMissing("io_weight", "blkio",
                               "the kernel has neither blkio.weight nor blkio.bfq.weight");
    }
    return Status();
  }

  void ReadMemory(int dir, CgroupUsage& usage) const override {
    usage.memory_bytes = ReadNumber(dir, "memory.usage_in_bytes");
    usage.memory_limit = ReadNumber(dir, kLimit);
    usage.oom_kills = ReadKeyedNumber(dir, "memory.oom_control", "oom_kill");
    usage.memory_peak = ReadNumber(dir, "memory.max_usage_in_bytes");
    usage.memory_working_set = usage.memory_bytes;
    // The totals count the groups below, as the usage does.
    bool counts_swap = false;
    (void)ForEachLine(dir, "memory.stat", [&](std::string_view line) {
      constexpr std::string_view kInactive = "total_inactive_file ", kSwap = "total_swap ";
      if (line.starts_with(kInactive)) {
        const uint64_t inactive = core::ParseUint64(line.substr(kInactive.size())).value_or(0);
        usage.memory_working_set -= std::min(usage.memory_working_set, inactive);
      } else if (line.starts_with(kSwap)) {
        usage.swap_bytes = core::ParseUint64(line.substr(kSwap.size())).value_or(0);
        counts_swap = true;
      }
    });
    if (!counts_swap) usage.unavailable.push_back("swap");
  }

  uint64_t ReadCpuUsec(int dir) const override { return ReadNumber(dir, "cpuacct.usage") / 1000; }

  void ReadThrottling(int dir, CgroupUsage& usage) const override {
    usage.cpu_throttled_usec = ReadKeyedNumber(dir, "cpu.stat", "throttled_time") / 1000;
  }

  void ReadIo(int dir, CgroupUsage& usage) const override {
    // "8:0 Read 4096" for each device, then "Total <n>".
    const auto add = [&usage](std::string_view line) {
      const size_t last = line.rfind(' ');
      if (last == std::string_view::npos) return;
      const uint64_t bytes = core::ParseUint64(line.substr(last + 1)).value_or(0);
      if (line.substr(0, last).ends_with(" Read")) usage.io_read_bytes += bytes;
      if (line.substr(0, last).ends_with(" Write")) usage.io_written_bytes += bytes;
    };
    for (const char* file :
         {"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"}) {
      if (ForEachLine(dir, file, add)) return;
    }
    usage.unavailable.push_back("io");
  }

  void ReadMemoryLimits(int dir, CgroupLimits& limits) const override {
    const uint64_t memory = ReadNumber(dir, kLimit), with_swap = ReadNumber(dir, kLimitWithSwap);
    if (memory != 0) limits.memory_bytes = static_cast<int64_t>(memory);
    if (with_swap != 0) limits.memory_swap_bytes = static_cast<int64_t>(with_swap);
  }

  void ReadCpuLimit(int dir, CgroupLimits& limits) const override {
    const uint64_t quota = ReadNumber(dir, "cpu.cfs_quota_us"),
                   period = ReadNumber(dir, "cpu.cfs_period_us");
    if (quota == 0 || period == 0) return;
    limits.cpu_quota_us = static_cast<int64_t>(quota * kCpuPeriodUs / period);
  }

  void ReadIoWeight(int dir, CgroupLimits& limits) const override {
    uint64_t weight = ReadNumber(dir, "blkio.weight");
    if (weight == 0) weight = ReadNumber(dir, "blkio.bfq.weight");
    if (weight != 0) limits.io_weight = static_cast<uint16_t>(weight);
  }

  Status Freeze(int dir, bool frozen) const override {
    const char* const wanted = frozen ? "FROZEN" : "THAWED";
    MBX_RETURN_IF_ERROR(WriteControl(dir, kFreezerState, wanted));
    const auto deadline = steady_clock::now() + kCgroupTimeout;
    while (true) {
      // FREEZING until every process has stopped. There is no event; reading is what makes the
      // kernel look.
      MBX_ASSIGN_OR_RETURN(const std::string state, ReadControl(dir, kFreezerState));
      if (state == wanted) return Status();
      if (steady_clock::now() > deadline) break;
      (void)poll(nullptr, 0, 1);  // only lets time pass
    }
    (void)WriteControl(dir, kFreezerState, "THAWED");  // rather running than half frozen
    return core::Error(StatusCode::kDeadlineExceeded, "", "processes do not freeze");
  }

  Status KillAll(int dir) const override {
    // SIGKILL takes effect when the group thaws.
    return KillEach(dir, [&](bool held) {
      if (!HasControl(dir, kFreezerState)) return;
      const Status set = WriteControl(dir, kFreezerState, held ? "FROZEN" : "THAWED");
      if (!set.ok()) core::LogWarning("kernel", set.message());
    });
  }
};

}  // namespace

const CgroupDialect& CgroupV1() {
  static const V1 v1;
  return v1;
}

}  // namespace minibox::kernel
