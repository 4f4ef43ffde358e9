// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/cgroup_control.h"

namespace minibox::kernel {
namespace {

using std::chrono::steady_clock;

constexpr char kGroups[] = "minibox";
// On directories that we made, so that they go when the last group does and others stay.
constexpr char kOursAttribute[] = "trusted.minibox";
// The last group of another process may go between two steps of ours.
constexpr int kMaxTries = 100;
// Groups inside a privileged container's own.
constexpr int kMaxDepth = 64;
// How long an empty group may be busy: the kernel lets go of an exited process a moment after
// it is reported, and version 1 has no event for that.
constexpr std::chrono::seconds kBusyTimeout{5};

bool IsGone(const Status& status) {
  return status.sys_errno() == ENOENT || status.sys_errno() == ENODEV;
}

bool IsOurs(int dir) { return fgetxattr(dir, kOursAttribute, nullptr, 0) >= 0; }

}  // namespace

Status CgroupFs::MakeDir(int parent, const std::string& name) {
  return mkdirat(parent, name.c_str(), 0755) == 0 ? Status() : core::SysError("mkdir", name);
}

Status CgroupFs::RemoveDir(int parent, const std::string& name) {
  return unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 ? Status()
                                                           : core::SysError("rmdir", name);
}

StatusOr<core::Fd> OpenGroupDir(int parent, const std::string& name) {
  core::Fd fd(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return core::SysError("open cgroup", name);
  return fd;
}

StatusOr<std::vector<std::string>> SubGroups(int dir) {
  MBX_ASSIGN_OR_RETURN(core::Fd own, OpenGroupDir(dir, "."));
  DIR* stream = fdopendir(own.get());
  if (stream == nullptr) return core::SysError("fdopendir", "cgroup");
  (void)own.release();  // the stream's now
  std::vector<std::string> names;
  while (const dirent* entry = readdir(stream)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  closedir(stream);
  std::sort(names.begin(), names.end());
  return names;
}

CgroupTree::CgroupTree(std::string root, PathComponents parent, std::shared_ptr<CgroupFs> fs)
    : root_(std::move(root)), above_(std::move(parent)), fs_(std::move(fs)) {
  above_.emplace_back(kGroups);
}

std::string CgroupTree::PathOf(std::string_view id) const {
  std::string path;
  for (const std::string& component : above_) path += "/" + component;
  return core::StrCat(path, "/", id);
}

StatusOr<core::Fd> CgroupTree::OpenStep(int parent, const std::string& name, bool make) const {
  auto dir = OpenGroupDir(parent, name);
  if (dir.ok() || !make || dir.status().sys_errno() != ENOENT) return dir;
  const Status made = fs_->MakeDir(parent, name);
  if (!made.ok() && made.sys_errno() != EEXIST) return made;
  dir = OpenGroupDir(parent, name);
  // Without the mark, where it cannot be set, the empty directory merely stays.
  if (dir.ok() && made.ok()) (void)fsetxattr(dir->get(), kOursAttribute, "1", 1, 0);
  return dir;
}

Status CgroupTree::MakeGroup(int parent, const std::string& id) const {
  const Status made = fs_->MakeDir(parent, id);
  if (made.sys_errno() != EEXIST) return made;
  const auto dir = OpenGroupDir(parent, id);
  if (dir.ok()) {
    MBX_ASSIGN_OR_RETURN(const std::vector<int> pids, ReadPids(dir->get()));
    if (!pids.empty()) {
      return core::Error(StatusCode::kAlreadyExists, "",
                         core::StrCat("cgroup ", PathOf(id), " has processes"));
    }
  }
  MBX_RETURN_IF_ERROR(RemoveTree(parent, id));
  return fs_->MakeDir(parent, id);
}

StatusOr<core::Fd> CgroupTree::Walk(const std::string& id, bool make, const Step& step) const {
  MBX_ASSIGN_OR_RETURN(core::Fd dir, OpenGroupDir(AT_FDCWD, root_));
  for (const std::string& name : above_) {
    MBX_ASSIGN_OR_RETURN(core::Fd next, OpenStep(dir.get(), name, make));
    if (step) MBX_RETURN_IF_ERROR(step(dir.get(), next.get()));
    dir = std::move(next);
  }
  if (make) MBX_RETURN_IF_ERROR(MakeGroup(dir.get(), id));
  MBX_ASSIGN_OR_RETURN(core::Fd group, OpenGroupDir(dir.get(), id));
  if (!step) return group;
  const Status prepared = step(dir.get(), group.get());
  if (prepared.ok()) return group;
  if (make) (void)RemoveTree(dir.get(), id);  // the failure of the step says more
  return prepared;
}

StatusOr<core::Fd> CgroupTree::Make(const std::string& id, const Step& step) const {
  for (int attempt = 1;; ++attempt) {
    auto group = Walk(id, true, step);
    if (group.ok() || !IsGone(group.status()) || attempt == kMaxTries) return group;
  }
}

StatusOr<core::Fd> CgroupTree::Open(const std::string& id, const Step& step) const {
  // There are no links in a cgroup file system.
  auto group = step ? Walk(id, false, step) : OpenGroupDir(AT_FDCWD, root_ + PathOf(id));
  if (!group.ok() && IsGone(group.status())) {
    return core::NotFound("", core::StrCat("no cgroup ", PathOf(id)));
  }
  return group;
}

Status CgroupTree::RemoveTree(int parent, const std::string& name, int depth) const {
  if (depth > kMaxDepth) return core::SysError("rmdir", name, ELOOP);
  const auto dir = OpenGroupDir(parent, name);
  if (!dir.ok()) return IsGone(dir.status()) ? Status() : dir.status();
  if (const auto below = SubGroups(dir->get()); below.ok()) {
    for (const std::string& child : *below) {
      MBX_RETURN_IF_ERROR(RemoveTree(dir->get(), child, depth + 1));
    }
  }
  const Status removed = fs_->RemoveDir(parent, name);
  return IsGone(removed) ? Status() : removed;
}

Status CgroupTree::RemoveGroup(int parent, const std::string& id) const {
  const auto deadline = steady_clock::now() + kBusyTimeout;
  while (true) {
    const Status removed = RemoveTree(parent, id);
    if (removed.sys_errno() != EBUSY) return removed;
    const auto dir = OpenGroupDir(parent, id);
    if (!dir.ok()) continue;
    const auto pids = ReadPids(dir->get());
    if ((pids.ok() && !pids->empty()) || steady_clock::now() > deadline) {
      return core::FailedPrecondition("",
                                      core::StrCat("cgroup ", PathOf(id), " still has processes"));
    }
    (void)poll(nullptr, 0, 1);  // only lets time pass
  }
}

Status CgroupTree::Remove(const std::string& id) const {
  // Descriptors from the root down, to go back up on.
  std::vector<core::Fd> dirs;
  auto dir = OpenGroupDir(AT_FDCWD, root_);
  for (const std::string& name : above_) {
    if (!dir.ok()) break;
    dirs.push_back(std::move(*dir));
    dir = OpenGroupDir(dirs.back().get(), name);
  }
  if (!dir.ok()) return IsGone(dir.status()) ? Status() : dir.status();
  MBX_RETURN_IF_ERROR(RemoveGroup(dir->get(), id));
  for (size_t i = above_.size(); i-- > 0;) {
    // `minibox` is ours whoever made it; what is above, only if the mark says so.
    if (i + 1 < above_.size() && !IsOurs(dir->get())) break;
    // A failure is ENOTEMPTY or EBUSY: others have groups there.
    if (!fs_->RemoveDir(dirs[i].get(), above_[i]).ok()) break;
    dir = std::move(dirs[i]);
  }
  return Status();
}

StatusOr<std::vector<std::string>> CgroupTree::List() const {
  auto dir = OpenGroupDir(AT_FDCWD, root_);
  for (const std::string& name : above_) {
    if (!dir.ok()) break;
    const core::Fd parent = std::move(*dir);
    dir = OpenGroupDir(parent.get(), name);
  }
  if (dir.ok()) return SubGroups(dir->get());
  if (IsGone(dir.status())) return std::vector<std::string>();
  return dir.status();
}

}  // namespace minibox::kernel
