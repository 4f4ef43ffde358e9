// SPDX-License-Identifier: Apache-2.0
// What the engine says of itself and its host (spec §5.10).
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace minibox {
inline namespace v1 {

// From Runtime::GetSystemInfo().
struct SystemInfo {
  std::string version{};  // of the library
  std::string data_root{}, run_dir{};
  std::string kernel{}, os{}, architecture{};  // "6.1.0", "linux", "amd64"
  unsigned cpus = 0;                           // that this process may use
  uint64_t memory_bytes = 0;                   // of the host
  std::string cgroup{};                        // "v2", "v1", "hybrid"
  std::vector<std::string> controllers{};
  // "userns", "idmapped_mounts", "seccomp", "nftables", "fuse", "erofs", "ipv6"; front ends add
  // what they have.
  std::map<std::string, bool> features{};
  std::map<std::string, uint64_t> containers{};  // by status; all statuses are there
  uint64_t images = 0;                           // distinct ones
  bool encrypted = false;
  std::vector<std::string> warnings{};  // what is missing and what follows from it
};

}  // namespace v1
}  // namespace minibox
