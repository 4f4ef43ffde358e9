// SPDX-License-Identifier: Apache-2.0
// What resolving and planning need to know about the host, as a value that tests can make up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "minibox/status.h"

namespace minibox::runtime {

struct HostFacts {
  std::string data_root{}, run_dir{};        // real paths
  std::vector<std::string> bind_prefixes{};  // real paths; empty: anywhere
  std::string online_cpus{};                 // "0-3"; empty: unknown
  uint64_t nr_open = 1048576;
};

// Reads /sys and /proc; the directories stay empty.
HostFacts ReadHostFacts();

// Whether the file system of `fd` can be mounted through an id map (spec §12.3): nullptr, or
// the name of the file system that cannot.
const char* IdMapObstacle(int fd);

}  // namespace minibox::runtime
