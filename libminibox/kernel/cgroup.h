// SPDX-License-Identifier: Apache-2.0
// Control groups, versions 1 and 2 (and hybrid hosts) behind one interface.
//
// A group is configured before a process is in it. What was asked for is read back; a
// value that the kernel does not take is an error naming field and controller.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "kernel/device_filter.h"
#include "minibox/status.h"

namespace minibox::kernel {

struct CgroupLimits {
  std::optional<int64_t> memory_bytes{};
  std::optional<int64_t> memory_swap_bytes{};  // memory + swap; -1 unlimited; unset: no swap
  std::optional<int64_t> cpu_quota_us{};       // per 100 000 us
  std::string cpuset{};
  std::optional<uint16_t> io_weight{};  // 1-1000
  bool io_weight_is_default = false;    // then a missing controller only warns
  std::optional<int64_t> pids{};        // -1 unlimited
  bool pids_is_default = false;         // then a missing pids controller only warns
  // Devices that may be used; unset: all that the group above permits.
  std::optional<std::vector<DeviceRule>> devices{};
  bool devices_are_default = false;  // then a host that cannot filter only warns
};

// What the host does not tell is 0, and so is a limit that there is not.
struct CgroupUsage {
  uint64_t memory_bytes = 0, memory_limit = 0, pids = 0, pids_limit = 0, cpu_usec = 0;
  uint64_t oom_kills = 0;
  uint64_t memory_working_set = 0;  // without inactive file pages
  uint64_t memory_peak = 0, swap_bytes = 0;
  uint64_t cpu_throttled_usec = 0;
  uint64_t io_read_bytes = 0, io_written_bytes = 0;
  // What of this cannot be told: "memory", "memory_peak", "swap", "cpu", "cpu_throttled", "io",
  // "pids".
  std::vector<std::string> unavailable{};
};

// One `<parent>/minibox/<id>`. Not thread-safe.
class Cgroup {
 public:
  virtual ~Cgroup() = default;
  // Directories to join, one per hierarchy that is used.
  struct JoinDir {
    int fd;  // borrowed
    bool v2;
    // Whether a process can be made in it with CLONE_INTO_CGROUP.
    bool takes_newborns() const;
    // Where any other writes "0" to enter: `tasks` on v1, `cgroup.procs` on v2.
    StatusOr<core::Fd> OpenMembers() const;
  };
  virtual std::vector<JoinDir> JoinDirs() const = 0;
  // Path relative to the hierarchy root, "/minibox/<id>".
  virtual const std::string& path() const = 0;
  // Limits that were defaults and could not be applied.
  virtual const std::vector<std::string>& warnings() const = 0;
  virtual Status Apply(const CgroupLimits& limits) = 0;
  virtual StatusOr<CgroupUsage> Usage() const = 0;
  // What the kernel has in force; unset: no limit, or no controller.
  virtual CgroupLimits Limits() const = 0;
  virtual StatusOr<std::vector<int>> Pids() const = 0;
  virtual Status Freeze(bool frozen) = 0;
  // SIGKILL to every process; returns when none is left.
  virtual Status KillAll() = 0;
  // Removes the empty directories (and empty parents of ours); absent is OK.
  virtual Status Remove() = 0;
};

// Knows the host's hierarchies. Thread-safe.
class CgroupDriver {
 public:
  virtual ~CgroupDriver() = default;
  // Detects v2, v1 or hybrid from mounts and the caller's own group. `parent` is relative to
  // each hierarchy's root, "" the root; see RuntimeOptions::cgroup_parent. `root` replaces
  // /sys/fs/cgroup for tests.
  static StatusOr<std::unique_ptr<CgroupDriver>> Detect(std::string_view parent,
                                                        std::string_view root = "/sys/fs/cgroup");
  virtual std::string_view version() const = 0;  // "v2", "v1", "hybrid"
  virtual std::vector<std::string> controllers() const = 0;
  // Whether the use of devices can be restricted.
  virtual bool filters_devices() const = 0;
  // Makes the directories and applies the limits; leaves nothing on failure. Missing
  // controller for an explicit limit: kInternal "unsupported_by_host", message "cannot apply
  // <field>: cgroup controller <name> is not available: <why>", field() set.
  virtual StatusOr<std::unique_ptr<Cgroup>> Create(std::string_view id,
                                                   const CgroupLimits& limits) = 0;
  // An existing group of that id; kNotFound.
  virtual StatusOr<std::unique_ptr<Cgroup>> Open(std::string_view id) = 0;
  // What Cgroup::Usage says, at less cost, and of that only cpu_usec. kNotFound.
  virtual StatusOr<CgroupUsage> Usage(std::string_view id) = 0;
  virtual StatusOr<uint64_t> CpuUsec(std::string_view id) = 0;
  // Ids of all groups below <parent>/minibox.
  virtual StatusOr<std::vector<std::string>> List() = 0;
};

}  // namespace minibox::kernel
