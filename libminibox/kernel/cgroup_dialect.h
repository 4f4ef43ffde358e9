// SPDX-License-Identifier: Apache-2.0
// What the two versions of control groups call things and how they do them. One group may
// speak both on a hybrid host: each controller is used where it is mounted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cgroup.h"
#include "kernel/cgroup_control.h"
#include "kernel/cgroup_tree.h"
#include "minibox/status.h"

namespace minibox::kernel {

// A mounted hierarchy.
struct CgroupHierarchy {
  std::string path{};
  bool v2 = false;
  std::vector<std::string> controllers{};  // v1: those mounted there; v2: those of its root
};

// The driver for these hierarchies, as CgroupDriver::Detect() makes it.
StatusOr<std::unique_ptr<CgroupDriver>> MakeCgroupDriver(std::vector<CgroupHierarchy> hierarchies,
                                                         std::string_view parent,
                                                         std::shared_ptr<CgroupFs> fs);

using CgroupSettings = std::vector<CgroupSetting>;

// Stateless and thread-safe. `dir` is a group's directory in the hierarchy of the controller.
class CgroupDialect {
 public:
  virtual ~CgroupDialect() = default;

  // memory, cpu, cpuset, io, pids -> the controller's name here.
  virtual std::string_view ControllerName(std::string_view resource) const = 0;
  // Called for each step on the way down to a group; makes `wanted` controllers work in
  // `child`. Why one does not: `refused`.
  virtual Status Descend(int parent, int child, const std::vector<std::string>& wanted,
                         std::map<std::string, std::string>& refused) const = 0;

  // Append what puts the limits into force. `fresh`: nothing has run in the group yet.
  virtual Status PlanMemory(int dir, const CgroupLimits& limits, bool fresh,
                            CgroupSettings& settings) const = 0;
  virtual void PlanCpu(int dir, int64_t quota_us, CgroupSettings& settings) const = 0;
  virtual Status PlanIoWeight(int dir, uint16_t weight, CgroupSettings& settings) const = 0;

  virtual void ReadMemory(int dir, CgroupUsage& usage) const = 0;
  virtual uint64_t ReadCpuUsec(int dir) const = 0;
  // Append to `unavailable` what there is no file for.
  virtual void ReadThrottling(int dir, CgroupUsage& usage) const = 0;
  virtual void ReadIo(int dir, CgroupUsage& usage) const = 0;
  // The limits in force, each from the directory of its controller.
  virtual void ReadMemoryLimits(int dir, CgroupLimits& limits) const = 0;
  virtual void ReadCpuLimit(int dir, CgroupLimits& limits) const = 0;
  virtual void ReadIoWeight(int dir, CgroupLimits& limits) const = 0;

  // Returns when it is done.
  virtual Status Freeze(int dir, bool frozen) const = 0;
  virtual Status KillAll(int dir) const = 0;
};

const CgroupDialect& CgroupV1();
const CgroupDialect& CgroupV2();

constexpr int64_t kCpuPeriodUs = 100000;

}  // namespace minibox::kernel
