// SPDX-License-Identifier: Apache-2.0
#include "build/layer_stack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "build/limits.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/overlay.h"

namespace minibox::build {
namespace {

Status SetMode(const core::RootDir& dir, const char* path, mode_t mode) {
  MBX_ASSIGN_OR_RETURN(const core::Fd fd, dir.OpenNoFollow(path, O_RDONLY));
  if (fchmod(fd.get(), mode) != 0) return core::SysError("fchmod", path);
  const struct timespec times[2] = {};
  if (futimens(fd.get(), times) != 0) return core::SysError("futimens", path);
  return {};
}

StatusOr<core::RootDir> Mount(const store::DataRoot& root, std::vector<std::string> lowers,
                              const SharedDirs& shared, const StepDir* step) {
  lowers.push_back(shared.empty_path());
  // An overlay without upper needs two lowers, and `empty` is one already.
  if (lowers.size() > kMaxStack) {
    return core::FailedPrecondition(
        "", core::StrCat("more than ", kMaxStack, " layers lie over each other"));
  }
  std::vector<core::Fd> fds;
  const auto open = [&](const std::string& path) -> StatusOr<int> {
    MBX_ASSIGN_OR_RETURN(core::Fd fd, root.dir().OpenNoFollow(path, O_RDONLY | O_DIRECTORY));
    fds.push_back(std::move(fd));
    return fds.back().get();
  };
  if (lowers.size() == 1 && step == nullptr) return root.dir().OpenDir(lowers.front());
  kernel::OverlaySpec spec;
  for (const auto& lower : lowers) {
    MBX_ASSIGN_OR_RETURN(const int fd, open(lower));
    spec.lowers.push_back(fd);
  }
  if (step != nullptr) {
    MBX_ASSIGN_OR_RETURN(spec.upper, open(step->upper_path()));
    MBX_ASSIGN_OR_RETURN(spec.work, open(step->work_path()));
  }
  MBX_ASSIGN_OR_RETURN(core::Fd mount, kernel::MountOverlay(spec));
  return core::RootDir(std::move(mount));
}

}  // namespace

void LayerStack::Push(std::string_view directory) {
  const auto there = std::find(directories_.begin(), directories_.end(), directory);
  if (there != directories_.end()) directories_.erase(there);
  directories_.emplace_back(directory);
}

void LayerStack::Push(const std::vector<std::string>& directories) {
  for (const auto& directory : directories) Push(directory);
}

std::vector<std::string> LayerStack::Lowers() const {
  return {directories_.rbegin(), directories_.rend()};
}

StatusOr<StepDir> StepDir::Create(store::DataRoot& root, const core::RootDir& below) {
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, root.NewOperation("build-step"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kWork, 0700));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kUpper, 0700));
  // The merged root takes its attributes from the upper directory.
  MBX_ASSIGN_OR_RETURN(const struct ::stat st, below.Stat(""));
  MBX_ASSIGN_OR_RETURN(const core::Fd upper,
                       operation.dir().OpenNoFollow(kUpper, O_RDONLY | O_DIRECTORY));
  if (fchown(upper.get(), st.st_uid, st.st_gid) != 0) return core::SysError("fchown", kUpper);
  if (fchmod(upper.get(), st.st_mode & 07777) != 0) return core::SysError("fchmod", kUpper);
  return StepDir(std::move(operation));
}

std::span<const SharedDirs::MountPoint> SharedDirs::MountPoints() {
  static constexpr MountPoint kPoints[] = {{"proc", 0755, true},
                                           {"sys", 0755, true},
                                           {"dev", 0755, true},
                                           {"tmp", 01777, true},
                                           {"etc", 0755, true},
                                           {"etc/hosts", 0644, false},
                                           {"etc/resolv.conf", 0644, false},
                                           {"etc/hostname", 0644, false}};
  return kPoints;
}

StatusOr<SharedDirs> SharedDirs::Create(store::DataRoot& root) {
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, root.NewOperation("build"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir("empty", 0755));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir("plumbing", 0755));
  MBX_ASSIGN_OR_RETURN(const core::RootDir plumbing, operation.dir().OpenDir("plumbing"));
  for (const auto& point : MountPoints()) {
    if (point.directory) {
      MBX_RETURN_IF_ERROR(plumbing.MakeDir(point.path, point.mode));
    } else {
      MBX_RETURN_IF_ERROR(
          plumbing.OpenNoFollow(point.path, O_WRONLY | O_CREAT | O_EXCL, point.mode).status());
    }
  }
  // Children first: making one changes its parent's time.
  const auto points = MountPoints();
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    MBX_RETURN_IF_ERROR(SetMode(plumbing, point->path, point->mode));
  }
  return SharedDirs(std::move(operation));
}

StatusOr<core::RootDir> OpenView(const store::DataRoot& root, const LayerStack& stack,
                                 const SharedDirs& shared) {
  return Mount(root, stack.Lowers(), shared, nullptr);
}

StatusOr<core::RootDir> OpenWritableView(const store::DataRoot& root, const LayerStack& stack,
                                         const SharedDirs& shared, const StepDir& step) {
  return Mount(root, stack.Lowers(), shared, &step);
}

}  // namespace minibox::build
