// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "core/errors.h"
#include "core/fd.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/cgroup_dialect.h"

namespace minibox::kernel {
namespace {

using ReadBack = CgroupSetting::ReadBack;
using std::chrono::steady_clock;

constexpr char kEvents[] = "cgroup.events";
constexpr char kMax[] = "memory.max";
constexpr char kSwapMax[] = "memory.swap.max";

std::string Number(int64_t value) { return value < 0 ? "max" : core::StrCat(value); }

bool Lists(int dir, const std::string& file, std::string_view name) {
  const auto text = ReadControl(dir, file);
  if (!text.ok()) return false;
  const auto names = core::StrSplit(*text, ' ');
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Waits until `key` of cgroup.events has the value `wanted`.
Status WaitForEvent(int dir, std::string_view key, uint64_t wanted) {
  const auto deadline = steady_clock::now() + kCgroupTimeout;
  const core::Fd events(openat(dir, kEvents, O_RDONLY | O_CLOEXEC));
  if (!events.valid()) return core::SysError("open", kEvents);
  while (true) {
    // A change after this reading wakes the poll below: the kernel remembers per descriptor
    // what was last read.
    char text[256];
    const ssize_t length = pread(events.get(), text, sizeof text, 0);
    if (length < 0) return errno == ENODEV ? Status() : core::SysError("read", kEvents);
    const std::string_view content(text, static_cast<size_t>(length));
    for (const std::string_view line : core::StrSplit(content, '\n')) {
      if (line == core::StrCat(key, " ", wanted)) return Status();
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - steady_clock::now());
    struct pollfd polled = {events.get(), POLLPRI, 0};
    if (left.count() <= 0 ||
        (poll(&polled, 1, static_cast<int>(left.count())) < 0 && errno != EINTR)) {
      return core::Error(StatusCode::kDeadlineExceeded, "",
                         core::StrCat("cgroup does not become ", key, " ", wanted));
    }
  }
}

class V2 final : public CgroupDialect {
 public:
  std::string_view ControllerName(std::string_view resource) const override { return resource; }

  Status Descend(int parent, int, const std::vector<std::string>& wanted,
                 std::map<std::string, std::string>& refused) const override {
    // One by one: a list is refused as a whole.
    for (const std::string& name : wanted) {
      if (refused.contains(name) || Lists(parent, "cgroup.subtree_control", name)) continue;
      if (!Lists(parent, "cgroup.controllers", name)) {
        refused[name] = "the kernel does not have it, or a group above does not pass it on";
        continue;
      }
      const Status enabled = WriteControl(parent, "cgroup.subtree_control", "+" + name);
      if (!enabled.ok()) refused[name] = enabled.message();
    }
    return Status();
  }

  Status PlanMemory(int dir, const CgroupLimits& limits, bool fresh,
                    CgroupSettings& settings) const override {
    const bool counts_swap = HasControl(dir, kSwapMax);
    if (!counts_swap && limits.memory_swap_bytes.value_or(-1) >= 0) {
      return ControllerMissing("memory_swap", "memory",
                               core::StrCat("the kernel has no ", kSwapMax));
    }
    if (limits.memory_bytes) {
      if (!fresh) {
        // The kernel would take it, and kill.
        MBX_RETURN_IF_ERROR(
            CheckMemoryUse(*limits.memory_bytes, ReadNumber(dir, "memory.current")));
      }
      settings.push_back(
          {"memory", "memory", dir, kMax, Number(*limits.memory_bytes), ReadBack::kBytes});
    }
    if (!counts_swap || (!limits.memory_bytes && !limits.memory_swap_bytes)) return Status();
    const int64_t memory = limits.memory_bytes.value_or(-1);
    int64_t swap = memory < 0 ? -1 : 0;
    if (limits.memory_swap_bytes) {
      swap = *limits.memory_swap_bytes < 0 ? -1 : *limits.memory_swap_bytes - memory;
    }
    settings.push_back({"memory_swap", "memory", dir, kSwapMax, Number(swap), ReadBack::kBytes});
    return Status();
  }

  void PlanCpu(int dir, int64_t quota_us, CgroupSettings& settings) const override {
    settings.push_back(
        {"cpu", "cpu", dir, "cpu.max", core::StrCat(Number(quota_us), " ", kCpuPeriodUs)});
  }

  Status PlanIoWeight(int dir, uint16_t weight, CgroupSettings& settings) const override {
    for (const char* file : {"io.weight", "io.bfq.weight"}) {
      if (!HasControl(dir, file)) continue;
      settings.push_back({"io_weight", "io", dir, file, core::StrCat(weight), ReadBack::kWeight});
      return Status();
    }
    return ControllerMissing("io_weight", "io",
                             "the kernel has neither io.weight nor io.bfq.weight");
  }

  void ReadMemory(int dir, CgroupUsage& usage) const override {
    usage.memory_bytes = ReadNumber(dir, "memory.current");
    usage.memory_limit = ReadNumber(dir, kMax);
    usage.oom_kills = ReadKeyedNumber(dir, "memory.events", "oom_kill");
    const uint64_t inactive = ReadKeyedNumber(dir, "memory.stat", "inactive_file");
    usage.memory_working_set = usage.memory_bytes - std::min(usage.memory_bytes, inactive);
    // Since 5.19.
    usage.memory_peak = ReadNumber(dir, "memory.peak");
    if (!HasControl(dir, "memory.peak")) usage.unavailable.push_back("memory_peak");
    usage.swap_bytes = ReadNumber(dir, "memory.swap.current");
    if (!HasControl(dir, "memory.swap.current")) usage.unavailable.push_back("swap");
  }

  uint64_t ReadCpuUsec(int dir) const override {
    return ReadKeyedNumber(dir, "cpu.stat", "usage_usec");
  }

  void ReadThrottling(int dir, CgroupUsage& usage) const override {
    usage.cpu_throttled_usec = ReadKeyedNumber(dir, "cpu.stat", "throttled_usec");
  }

  void ReadIo(int dir, CgroupUsage& usage) const override {
    // "8:0 rbytes=4096 wbytes=0 …"
    const bool read = ForEachLine(dir, "io.stat", [&](std::string_view line) {
      for (const std::string_view word : core::StrSplit(line, ' ')) {
        const auto value = [&] { return core::ParseUint64(word.substr(7)).value_or(0); };
        if (word.starts_with("rbytes=")) usage.io_read_bytes += value();
        if (word.starts_with("wbytes=")) usage.io_written_bytes += value();
      }
    });
    if (!read) usage.unavailable.push_back("io");
  }

  void ReadMemoryLimits(int dir, CgroupLimits& limits) const override {
    const auto memory = ReadControl(dir, kMax), swap = ReadControl(dir, kSwapMax);
    const auto bytes = memory.ok() ? core::ParseInt64(*memory) : std::nullopt;
    if (!bytes) return;
    limits.memory_bytes = *bytes;
    if (!swap.ok()) return;
    if (const auto more = core::ParseInt64(*swap)) {
      limits.memory_swap_bytes = *bytes + *more;
    } else {
      limits.memory_swap_bytes = -1;
    }
  }

  void ReadCpuLimit(int dir, CgroupLimits& limits) const override {
    const auto text = ReadControl(dir, "cpu.max");
    if (!text.ok()) return;
    const auto words = core::StrSplit(*text, ' ');
    const auto quota = core::ParseInt64(words[0]);
    const auto period = words.size() > 1 ? core::ParseInt64(words[1]) : std::nullopt;
    if (quota && period && *period > 0) limits.cpu_quota_us = *quota * kCpuPeriodUs / *period;
  }

  void ReadIoWeight(int dir, CgroupLimits& limits) const override {
    for (const char* file : {"io.weight", "io.bfq.weight"}) {
      const auto text = ReadControl(dir, file);
      if (!text.ok()) continue;
      const auto weight = core::ParseUint64(std::string_view(*text).substr(text->rfind(' ') + 1));
      if (weight) limits.io_weight = static_cast<uint16_t>(*weight);
      return;
    }
  }

  Status Freeze(int dir, bool frozen) const override {
    MBX_RETURN_IF_ERROR(WriteControl(dir, "cgroup.freeze", frozen ? "1" : "0"));
    return WaitForEvent(dir, "frozen", frozen ? 1 : 0);
  }

  Status KillAll(int dir) const override {
    const Status killed = WriteControl(dir, "cgroup.kill", "1");
    if (killed.ok()) return WaitForEvent(dir, "populated", 0);
    if (killed.sys_errno() != ENOENT) return killed;
    // Before 5.14. Frozen processes of v2 do die.
    return KillEach(dir, [&](bool held) {
      const Status set = WriteControl(dir, "cgroup.freeze", held ? "1" : "0");
      if (!set.ok()) core::LogWarning("kernel", set.message());
    });
  }
};

}  // namespace

const CgroupDialect& CgroupV2() {
  static const V2 v2;
  return v2;
}

}  // namespace minibox::kernel
