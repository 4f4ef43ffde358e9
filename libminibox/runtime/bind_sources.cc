// SPDX-License-Identifier: Apache-2.0
#include "runtime/bind_sources.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <map>

#include "core/errors.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "init/protocol.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

StatusOr<core::Fd> OpenPath(const std::string& path) {
  core::Fd fd(open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("open", path);
  return fd;
}

// Makes what is missing of `path`; remembers the topmost directory first.
Status MakeHostDirectory(const std::string& path, std::vector<std::string>& made) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir root, core::RootDir::Open("/"));
  std::vector<std::string> missing;
  for (std::string at = path; at.size() > 1 && !root.Exists(at); at.resize(at.rfind('/'))) {
    missing.push_back(at);
  }
  MBX_RETURN_IF_ERROR(root.MakeDirs(path, 0755));
  made.insert(made.end(), missing.rbegin(), missing.rend());
  return Status();
}

StatusOr<core::Fd> OpenHostPath(const BindSource& source, const HostFacts& host,
                                OpenedBinds& opened) {
  if (!source.checked) return OpenPath(source.name);
  MBX_ASSIGN_OR_RETURN(const std::string real, ResolveHostPath(source.name, host, source.field));
  auto fd = OpenPath(real);
  if (!fd.ok() && fd.status().sys_errno() == ENOENT && source.create) {
    const Status made = MakeHostDirectory(real, opened.made_directories);
    if (!made.ok()) return core::InvalidArgument(source.field, made.message());
    fd = OpenPath(real);
  }
  if (!fd.ok()) return core::InvalidArgument(source.field, fd.status().message());
  // Somebody may have put a link into the way since the path was resolved.
  char path[PATH_MAX];
  const ssize_t length =
      readlink(core::StrCat("/proc/self/fd/", fd->get()).c_str(), path, sizeof path);
  if (length < 0) return core::SysError("readlink", real);
  MBX_RETURN_IF_ERROR(
      CheckHostPath(std::string_view(path, static_cast<size_t>(length)), host, source.field));
  return fd;
}

// Or half-filled by a start that was killed.
StatusOr<bool> IsEmptyDirectory(int fd) {
  core::Fd dir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir.valid()) return core::SysError("openat", ".");
  MBX_ASSIGN_OR_RETURN(const auto names, core::RootDir(std::move(dir)).List(""));
  return names.empty() || std::find(names.begin(), names.end(), init::kFillingMark) != names.end();
}

// Settles copy_up of each volume. Locks are taken in the order of names, so that two starts
// with the same volumes cannot wait for each other.
Status LockEmptyVolumes(const store::DataRoot& root, const std::stop_token& stop, LaunchPlan& plan,
                        OpenedBinds& opened) {
  std::map<std::string, std::vector<init::MountOp*>> empty;
  for (init::MountOp& op : plan.spec.mounts) {
    if (!op.copy_up) continue;
    const auto index = static_cast<size_t>(op.fd_index);
    MBX_ASSIGN_OR_RETURN(op.copy_up, IsEmptyDirectory(opened.fds[index].get()));
    if (op.copy_up) empty[plan.binds[index].name].push_back(&op);
  }
  for (auto& [volume, ops] : empty) {
    MBX_ASSIGN_OR_RETURN(core::FileLock lock, root.LockKey("volume-" + volume, stop));
    // Whoever had the lock before may have filled it; of two mounts here the first fills it.
    for (init::MountOp* op : ops) op->copy_up = false;
    const int fd = opened.fds[static_cast<size_t>(ops.front()->fd_index)].get();
    MBX_ASSIGN_OR_RETURN(ops.front()->copy_up, IsEmptyDirectory(fd));
    if (ops.front()->copy_up) opened.volume_locks.push_back(std::move(lock));
  }
  return Status();
}

}  // namespace

Status OpenBinds(const HostFacts& host, const store::DataRoot& root, const store::Volumes& volumes,
                 const ContainerDir& container, const std::stop_token& stop, LaunchPlan& plan,
                 OpenedBinds& opened) {
  opened.id_map_obstacle = IdMapObstacle(root.dir().fd(), /*recursive=*/false);
  for (init::MountOp& op : plan.spec.mounts) {
    if (op.kind != init::MountOp::Kind::kBind) continue;
    const BindSource& source = plan.binds[static_cast<size_t>(op.fd_index)];
    core::Fd fd;
    switch (source.kind) {
      case BindSource::Kind::kHostPath: {
        MBX_ASSIGN_OR_RETURN(fd, OpenHostPath(source, host, opened));
        break;
      }
      case BindSource::Kind::kVolume: {
        MBX_RETURN_IF_ERROR(volumes.Create(source.name, {}).status());
        MBX_ASSIGN_OR_RETURN(fd, volumes.Open(source.name));
        break;
      }
      case BindSource::Kind::kGenerated: {
        if (source.owner.empty()) {
          MBX_ASSIGN_OR_RETURN(fd, container.dir().OpenNoFollow(source.name, O_PATH));
          break;
        }
        MBX_ASSIGN_OR_RETURN(const ContainerId owner, ContainerId::Parse(source.owner));
        MBX_ASSIGN_OR_RETURN(const ContainerDir other, ContainerDir::Open(root, owner));
        MBX_ASSIGN_OR_RETURN(fd, other.dir().OpenNoFollow(source.name, O_PATH));
        break;
      }
    }
    if (op.id_mapped && opened.id_map_obstacle.empty()) {
      opened.id_map_obstacle = IdMapObstacle(fd.get(), op.recursive);
    }
    if (opened.fds.size() <= static_cast<size_t>(op.fd_index)) {
      opened.fds.resize(static_cast<size_t>(op.fd_index) + 1);
    }
    opened.fds[static_cast<size_t>(op.fd_index)] = std::move(fd);
  }
  return LockEmptyVolumes(root, stop, plan, opened);
}

void RemoveMadeDirectories(const OpenedBinds& opened) {
  for (auto path = opened.made_directories.rbegin(); path != opened.made_directories.rend();
       ++path) {
    // Not empty means that somebody has come to rely on it.
    (void)rmdir(path->c_str());
  }
}

}  // namespace minibox::runtime
