// SPDX-License-Identifier: Apache-2.0
// What resolving and planning need to know about the host, as a value that tests can make up.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::runtime {

struct HostFacts {
  std::string data_root{}, run_dir{};        // real paths
  std::vector<std::string> bind_prefixes{};  // real paths; empty: anywhere
  std::string online_cpus{};                 // "0-3"; empty: unknown
  uint64_t nr_open = 1048576;
  bool ipv6 = true;              // the kernel has it
  bool filters_devices = false;  // control groups can keep devices from a container
  // What this process can give away without a user namespace.
  uint64_t capabilities = ~uint64_t{0};
  // Thermal counters of each CPU, which are masked (they betray neighbours' load).
  std::vector<std::string> thermal_paths{};
  // Devices for privileged containers, "/dev/loop0"; see ListHostDevices.
  std::vector<std::string> devices{};
};

// Reads /sys and /proc; directories and devices stay empty.
HostFacts ReadHostFacts();

// The nodes in the host's /dev, sorted, but those that every container has of its own.
StatusOr<std::vector<std::string>> ListHostDevices();

// Why the tree below `fd` cannot be mounted through an id map (spec §12.3): the name of a
// file system in it that does not support that; empty if there is none. With `recursive`
// mounts below it count too.
std::string IdMapObstacle(int fd, bool recursive);

// For the tests: the file system types in `mountinfo` mounted below (not at) `path`.
std::vector<std::string> TypesMountedBelow(std::string_view mountinfo, std::string_view path);

}  // namespace minibox::runtime
