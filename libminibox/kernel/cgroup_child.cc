// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_child.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "kernel/cgroup_control.h"

namespace minibox::kernel {
namespace {

// The fittest of the hierarchies. A new group of cpuset is empty and takes no process.
size_t Choose(const std::vector<Cgroup::JoinDir>& dirs) {
  size_t best = 0;
  int best_rank = -1;
  for (size_t i = 0; i < dirs.size(); ++i) {
    const int rank = dirs[i].v2                                ? 3
                     : HasControl(dirs[i].fd, "cpuset.cpus")   ? 0
                     : HasControl(dirs[i].fd, "freezer.state") ? 2
                                                               : 1;
    if (rank > best_rank) best = i;
    best_rank = std::max(best_rank, rank);
  }
  return best;
}

Status FillCpuset(int parent, int child) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    if (!HasControl(child, file)) return Status();
    MBX_ASSIGN_OR_RETURN(const std::string inherited, ReadControl(parent, file));
    MBX_RETURN_IF_ERROR(WriteControl(child, file, inherited));
  }
  return Status();
}

}  // namespace

StatusOr<CgroupChild> CgroupChild::Make(const Cgroup& cgroup, std::string_view name) {
  CgroupChild child;
  const std::vector<Cgroup::JoinDir> dirs = cgroup.JoinDirs();
  if (dirs.empty()) return child;
  child.name_ = std::string(name);
  child.replaces_ = Choose(dirs);
  const Cgroup::JoinDir& chosen = dirs[child.replaces_];
  child.parent_.reset(fcntl(chosen.fd, F_DUPFD_CLOEXEC, 0));
  if (!child.parent_.valid()) return core::SysError("fcntl", cgroup.path());
  if (mkdirat(child.parent(), child.name_.c_str(), 0755) != 0) {
    const int error = errno;
    child.released_ = true;
    return core::SysError("mkdirat", cgroup.path() + "/" + child.name_, error);
  }
  child.group_.reset(
      openat(child.parent(), child.name_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!child.group_.valid()) return core::SysError("openat", cgroup.path() + "/" + child.name_);
  if (!chosen.v2) MBX_RETURN_IF_ERROR(FillCpuset(child.parent(), child.group()));
  return child;
}

CgroupChild& CgroupChild::operator=(CgroupChild&& other) noexcept {
  std::swap(parent_, other.parent_);
  std::swap(group_, other.group_);
  std::swap(name_, other.name_);
  std::swap(replaces_, other.replaces_);
  std::swap(released_, other.released_);
  return *this;
}

CgroupChild::~CgroupChild() {
  if (!parent_.valid() || released_) return;
  // If it is in use or gone already, the end of the container's group settles it.
  (void)unlinkat(parent_.get(), name_.c_str(), AT_REMOVEDIR);
}

}  // namespace minibox::kernel
