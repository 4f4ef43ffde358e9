// SPDX-License-Identifier: Apache-2.0
// What /proc tells of a process, as values. Parsing is pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::runtime {

struct ProcStat {
  std::string name{};  // at most 15 bytes, any
  char state = '?';
  int parent = 0;
  uint64_t cpu_ticks = 0;    // of it alone, user and system
  uint64_t start_ticks = 0;  // since boot
  uint64_t resident_pages = 0;
};
std::optional<ProcStat> ParseProcStat(std::string_view text);

struct ProcStatus {
  uint32_t uid = 0;       // effective, as this process sees it
  int container_pid = 0;  // in its innermost pid namespace
};
std::optional<ProcStatus> ParseProcStatus(std::string_view text);

// Bytes received and sent by all interfaces but lo, from /proc/<pid>/net/dev.
struct NetCounters {
  uint64_t received = 0, sent = 0;
};
NetCounters ParseNetDev(std::string_view text);

// /proc/<pid>, which stays that process's; kNotFound when there is none.
StatusOr<core::Fd> OpenProc(int pid);

}  // namespace minibox::runtime
