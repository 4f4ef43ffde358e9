// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// What a running or paused container uses (spec §5.4), processes of exec included. Bytes and
// microseconds; a limit of 0 is none. What the host cannot tell is 0 and named in `unavailable`.
struct ContainerStats {
  ContainerId id;
  std::string name{};
  TimePoint at{};
  uint64_t memory_usage = 0, memory_limit = 0;
  uint64_t memory_working_set = 0;  // usage without inactive file pages
  uint64_t memory_peak = 0, swap_usage = 0;
  uint64_t cpu_usage_usec = 0, cpu_throttled_usec = 0;
  double cpu_percent = 0;  // of the last 0.5 to 2 s; 100 is one core
  uint64_t pids = 0, pids_limit = 0;
  uint64_t net_input = 0, net_output = 0;  // received and sent by it, without lo
  uint64_t block_input = 0, block_output = 0;
  uint64_t oom_kills = 0;
  std::vector<std::string> unavailable{};  // keys of spec §5.4
};
// All of one moment. A sink that returns an error ends the stream with that error.
using StatsFn = std::function<Status(const std::vector<ContainerStats>&)>;

// A process of a container (spec §12.16).
struct ProcessInfo {
  int pid = 0;             // in this process's pid namespace
  int container_pid = 0;   // in the container's
  int parent_pid = 0;      // of this process's pid namespace
  std::string user{};      // name by the container's /etc/passwd, else its number there
  double cpu_percent = 0;  // of its whole life
  std::chrono::microseconds cpu_time{0};
  uint64_t memory_bytes = 0;  // resident
  TimePoint started{};
  std::string command{};  // as the kernel gives it, words joined by blanks
};

}  // namespace v1
}  // namespace minibox
