// SPDX-License-Identifier: Apache-2.0
// Directories that look like mounted control groups: what is written can be read back, and no
// kernel minds. Fit for testing which files are written where, on a host of any kind.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernel/cgroup_dialect.h"
#include "support/scratch.h"

namespace minibox::kernel {

class FakeCgroups {
 public:
  // A v1 hierarchy for each of `v1` ("cpu,cpuacct" is one), and with `v2` one of version 2 that
  // has these controllers; it is the root if there is no v1. `without`: files that this kernel
  // does not have.
  FakeCgroups(std::vector<std::string> v1, const std::vector<std::string>* v2,
              std::vector<std::string> without = {});

  const std::string& root() const { return scratch_.path(); }
  const std::vector<CgroupHierarchy>& hierarchies() const { return hierarchies_; }
  std::unique_ptr<CgroupDriver> Driver(std::string_view parent) const;

 private:
  testing::Scratch scratch_;
  std::vector<CgroupHierarchy> hierarchies_;
  std::shared_ptr<CgroupFs> fs_;
};

}  // namespace minibox::kernel
