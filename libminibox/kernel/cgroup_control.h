// SPDX-License-Identifier: Apache-2.0
// The control files of a group: values that are written and read back, lists of processes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cgroup.h"
#include "minibox/status.h"

namespace minibox::kernel {

// Files are named relative to the group's directory `dir`. Values are one line.
bool HasControl(int dir, const std::string& file);
StatusOr<std::string> ReadControl(int dir, const std::string& file);  // the first line
Status WriteControl(int dir, const std::string& file, std::string_view value);
// 0 for a file that is missing, or that says in one of its ways that there is no limit.
uint64_t ReadNumber(int dir, const std::string& file);
// The number after `key` in a file of "<key> <number>" lines; 0 if there is none.
uint64_t ReadKeyedNumber(int dir, const std::string& file, std::string_view key);

// Calls `line` for each line of a file, without its end; false if it cannot be read.
bool ForEachLine(int dir, const std::string& file,
                 const std::function<void(std::string_view line)>& line);

// A list of cpus as "0,2-3"; nullopt if it is malformed.
std::optional<std::set<unsigned>> ParseCpuList(std::string_view text);

// Processes of the group and the groups inside it that this pid namespace sees.
StatusOr<std::vector<int>> ReadPids(int dir);
// SIGKILL to every process of the group. `hold(true)` is called before they are looked up, so
// that none forks meanwhile, and `hold(false)` afterwards. Returns when none is left;
// kDeadlineExceeded after kCgroupTimeout.
Status KillEach(int dir, const std::function<void(bool)>& hold);
constexpr std::chrono::seconds kCgroupTimeout{30};

// One value to be put into force.
struct CgroupSetting {
  enum class ReadBack : uint8_t { kSame, kBytes, kCpus, kWeight };
  std::string_view field;       // of the request
  std::string_view controller;  // as users know it
  int dir;
  std::string file;
  std::string value;
  ReadBack read_back = ReadBack::kSame;
};
// Writes all in order and reads each back. After a failure what was there before is written
// again, unless the group is `fresh` and about to be removed.
Status ApplySettings(const std::vector<CgroupSetting>& settings, bool fresh);

// "cannot apply <field>: cgroup controller <name> is not available: <why>".
Status ControllerMissing(std::string_view field, std::string_view controller, std::string_view why);
// A new limit below what the group uses now: kFailedPrecondition.
Status CheckMemoryUse(int64_t limit, uint64_t used);
// Rules among the limits themselves, whatever the host.
Status CheckLimits(const CgroupLimits& limits);

}  // namespace minibox::kernel
