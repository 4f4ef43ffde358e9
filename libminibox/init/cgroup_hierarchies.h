// SPDX-License-Identifier: Apache-2.0
// The cgroup hierarchies in which the container has a group of its own: only those may be
// mounted inside, since in all others the root of the cgroup namespace is the host's.
#pragma once

#include <stdint.h>

#include "init/protocol.h"

namespace minibox::init {

struct Hierarchies {
  static constexpr uint32_t kMax = 16;
  struct V1 {
    char name[64];  // "cpu,cpuacct", or "name=systemd"
  };
  V1 v1[kMax];
  uint32_t v1_count = 0;
  bool v2 = false;
};

// Of the calling process, before it enters a cgroup namespace. `path` is that of the container's
// group.
bool ReadHierarchies(const char* path, Hierarchies* hierarchies, Failure& failure);

// The same from the text of /proc/<pid>/cgroup. Pure.
void ParseHierarchies(char* text, const char* path, Hierarchies* hierarchies);

}  // namespace minibox::init
