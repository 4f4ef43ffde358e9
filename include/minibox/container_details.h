// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "minibox/export.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// Part of ContainerDetails (spec §5.2).
struct MountDetails {
  std::string type{};    // "bind", "volume", "tmpfs"
  std::string source{};  // host path; empty for tmpfs
  std::string name{};    // of a volume
  std::string target{};
  std::string options{};
};

struct IdMapping {
  uint32_t container_id = 0, host_id = 0, size = 0;
};

struct SecurityDetails {
  std::vector<std::string> capabilities{};  // bounding set, "CAP_CHOWN", …
  std::string seccomp{};                    // "default", "unconfined", "profile"
  bool no_new_privs = true;
  std::string userns{};             // "auto", "host"
  std::vector<IdMapping> id_map{};  // of the present run; empty: the host's ids
};

// Limits that the kernel has in force; unset: none.
struct LimitDetails {
  std::optional<int64_t> memory_bytes{}, memory_swap_bytes{}, cpu_quota_us{}, pids{};
  std::string cpuset{};
  std::optional<uint16_t> io_weight{};
};

}  // namespace v1
}  // namespace minibox
