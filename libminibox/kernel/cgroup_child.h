// SPDX-License-Identifier: Apache-2.0
// A group inside a container's group that limits nothing: it only tells which processes belong
// together, whatever becomes of their parents.
#pragma once

#include <string>
#include <string_view>

#include "core/fd.h"
#include "kernel/cgroup.h"
#include "minibox/status.h"

namespace minibox::kernel {

// Removed by the destructor unless Release was called; the end of the container's group takes it
// along in any case.
class CgroupChild {
 public:
  CgroupChild() = default;
  // In one hierarchy of `cgroup`: the one of version 2, else that of the freezer, with which its
  // processes can be held, else any. Of a container without groups: an empty one, without `group`.
  static StatusOr<CgroupChild> Make(const Cgroup& cgroup, std::string_view name);
  CgroupChild(CgroupChild&&) = default;
  CgroupChild& operator=(CgroupChild&& other) noexcept;
  ~CgroupChild();

  int parent() const { return parent_.get(); }  // the container's group, -1: there is none
  int group() const { return group_.get(); }
  const std::string& name() const { return name_; }
  // Which of the JoinDirs of the container's group it takes the place of.
  size_t replaces() const { return replaces_; }
  // From now on somebody else removes it.
  void Release() { released_ = true; }

 private:
  core::Fd parent_, group_;
  std::string name_;
  size_t replaces_ = 0;
  bool released_ = false;
};

}  // namespace minibox::kernel
