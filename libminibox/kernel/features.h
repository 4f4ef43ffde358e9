// SPDX-License-Identifier: Apache-2.0
// What the running kernel can do, as a value. Each fact is found by asking the kernel with
// harmless arguments, never by its version number.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace minibox::kernel {

struct Features {
  bool openat2 = false;              // 5.6
  bool pidfd = false;                // 5.3
  bool clone_into_cgroup = false;    // 5.7
  bool idmapped_mounts = false;      // 5.12; whether a file system agrees is another question
  bool user_namespaces = false;      // built in and not limited to none
  bool seccomp = false;              // filters that return an errno
  bool overlay = false;              // the file system exists and this process may mount it
  bool overlay_appended = false;     // 6.8
  bool overlay_descriptors = false;  // 6.13

  // (name, value) in the order above, for printing.
  std::vector<std::pair<std::string, bool>> List() const;
};

// Asks the kernel.
Features ProbeFeatures();
// Asked once per process. Thread-safe.
const Features& HostFeatures();

}  // namespace minibox::kernel
