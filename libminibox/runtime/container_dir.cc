// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_dir.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

constexpr std::string_view kConfig = "config.json";
constexpr std::string_view kLock = "lock";
constexpr size_t kMaxRecord = 64u << 20;

Status ContainerNotFound(const ContainerId& id) {
  return core::NotFound("container_not_found",
                        core::StrCat("container ", id.ToString(), " not found"));
}

}  // namespace

std::string ContainerDir::Path(const ContainerId& id) {
  return core::StrCat(kContainers, "/", id.ToString());
}

StatusOr<ContainerDir> ContainerDir::Open(const store::DataRoot& root, const ContainerId& id) {
  auto dir = root.dir().OpenDir(Path(id));
  if (!dir.ok()) {
    return dir.status().code() == StatusCode::kNotFound ? ContainerNotFound(id) : dir.status();
  }
  return ContainerDir(id, std::move(*dir));
}

StatusOr<ContainerDir::Created> ContainerDir::Create(store::DataRoot& root,
                                                     const ContainerConfig& config,
                                                     const ContainerRecord& record) {
  const ContainerId& id = record.info.id;
  MBX_FAILPOINT("container_dir.create");
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, root.NewOperation("container"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(id.ToString(), 0700));
  MBX_ASSIGN_OR_RETURN(core::RootDir dir, operation.dir().OpenDir(id.ToString()));
  for (const char* name : {"upper", "work", "rootfs"}) {
    MBX_RETURN_IF_ERROR(dir.MakeDir(name, 0755));
  }
  ContainerDir container(id, std::move(dir));
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(container.dir_.fd(), kConfig, SerializeConfig(config)));
  MBX_RETURN_IF_ERROR(container.WriteRecord(record));
  // Before anybody can see the directory, so that nobody takes its maker for dead.
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, core::FileLock::Acquire(container.dir_.fd(), kLock));
  MBX_RETURN_IF_ERROR(root.dir().MakeDirs(kContainers, 0700));
  MBX_FAILPOINT("container_dir.rename");
  MBX_RETURN_IF_ERROR(
      root.dir().Rename(core::StrCat(operation.path(), "/", id.ToString()), Path(id)));
  MBX_ASSIGN_OR_RETURN(const core::Fd parent,
                       root.dir().OpenAt(kContainers, O_RDONLY | O_DIRECTORY));
  const Status synced = core::SyncDir(parent.get());
  if (!synced.ok()) {
    // What is reported as failed must not exist; the operation takes the tree along.
    (void)root.dir().Rename(Path(id), core::StrCat(operation.path(), "/", id.ToString()));
    return synced;
  }
  return Created{std::move(container), std::move(lock)};
}

StatusOr<std::vector<ContainerId>> ContainerDir::List(const store::DataRoot& root) {
  std::vector<ContainerId> ids;
  auto names = root.dir().List(kContainers);
  if (!names.ok()) {
    if (names.status().code() == StatusCode::kNotFound) return ids;
    return names.status();
  }
  for (const std::string& name : *names) {
    auto id = ContainerId::Parse(name);
    if (id.ok()) ids.push_back(std::move(*id));
  }
  return ids;
}

Status ContainerDir::CheckInPlace(const store::DataRoot& root) const {
  struct stat ours;
  if (fstat(dir_.fd(), &ours) != 0) return core::SysError("fstat", Path(id_));
  auto named = root.dir().LStat(Path(id_));
  if (!named.ok() && named.status().code() != StatusCode::kNotFound) return named.status();
  if (!named.ok() || named->st_ino != ours.st_ino || named->st_dev != ours.st_dev) {
    return ContainerNotFound(id_);
  }
  return Status();
}

StatusOr<core::FileLock> ContainerDir::Lock(const store::DataRoot& root,
                                            std::stop_token stop) const {
  auto lock = core::FileLock::Acquire(dir_.fd(), kLock, stop);
  if (!lock.ok()) {
    // The lock of a directory that has been deleted cannot be made anew.
    return lock.status().code() == StatusCode::kNotFound ? ContainerNotFound(id_) : lock.status();
  }
  MBX_RETURN_IF_ERROR(CheckInPlace(root));
  return lock;
}

StatusOr<std::optional<core::FileLock>> ContainerDir::TryLock(const store::DataRoot& root) const {
  auto lock = core::FileLock::TryAcquire(dir_.fd(), kLock);
  if (!lock.ok()) {
    return lock.status().code() == StatusCode::kNotFound ? ContainerNotFound(id_) : lock.status();
  }
  if (*lock) MBX_RETURN_IF_ERROR(CheckInPlace(root));
  return lock;
}

StatusOr<ContainerRecord> ContainerDir::ReadRecord() const {
  auto text = core::ReadFileAt(dir_.fd(), kStateFile, kMaxRecord);
  if (!text.ok()) {
    return text.status().code() == StatusCode::kNotFound ? ContainerNotFound(id_) : text.status();
  }
  auto record = ParseRecord(*text);
  if (!record.ok()) {
    return core::DataLoss(
        core::StrCat(Path(id_), "/", kStateFile, ": ", record.status().message()));
  }
  return record;
}

Status ContainerDir::WriteRecord(const ContainerRecord& record) const {
  return core::ReplaceFileAt(dir_.fd(), kStateFile, SerializeRecord(record)).WithContext(Path(id_));
}

StatusOr<ContainerConfig> ContainerDir::ReadConfig() const {
  MBX_ASSIGN_OR_RETURN(const std::string text, core::ReadFileAt(dir_.fd(), kConfig, kMaxRecord));
  auto config = ParseConfig(text);
  if (!config.ok()) {
    return core::DataLoss(core::StrCat(Path(id_), "/", kConfig, ": ", config.status().message()));
  }
  return config;
}

Status ContainerDir::WriteConfig(const ContainerConfig& config) const {
  return core::ReplaceFileAt(dir_.fd(), kConfig, SerializeConfig(config)).WithContext(Path(id_));
}

uint64_t ContainerDir::DiskBytes() const {
  constexpr uint64_t kBlock = 512;
  uint64_t bytes = 0;
  std::vector<std::string> pending = {"."};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    const auto names = dir_.List(path);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      const std::string child = core::StrCat(path, "/", name);
      const auto entry = dir_.LStat(child);
      if (!entry.ok()) continue;
      bytes += static_cast<uint64_t>(entry->st_blocks) * kBlock;
      if (S_ISDIR(entry->st_mode)) pending.push_back(child);
    }
  }
  return bytes;
}

StatusOr<std::optional<ExitStatus>> ContainerDir::ReadExit() const {
  auto text = core::ReadFileAt(dir_.fd(), kExitFile, kMaxRecord);
  if (!text.ok()) {
    if (text.status().code() == StatusCode::kNotFound) return std::optional<ExitStatus>();
    return text.status();
  }
  auto exit = ParseExit(*text);
  if (!exit.ok()) {
    return core::DataLoss(core::StrCat(Path(id_), "/", kExitFile, ": ", exit.status().message()));
  }
  return std::optional<ExitStatus>(std::move(*exit));
}

Status ContainerDir::ClearExit() const {
  if (unlinkat(dir_.fd(), std::string(kExitFile).c_str(), 0) == 0 || errno == ENOENT)
    return Status();
  return core::SysError("unlinkat", kExitFile);
}

Status ContainerDir::WriteGenerated(std::string_view name, std::string_view text) const {
  MBX_FAILPOINT("container_dir.generated");
  MBX_ASSIGN_OR_RETURN(const core::Fd fd,
                       dir_.OpenNoFollow(name, O_WRONLY | O_CREAT | O_TRUNC, 0644));
  if (fchmod(fd.get(), 0644) != 0) return core::SysError("fchmod", name);
  return core::WriteAll(fd.get(), text).WithContext(name);
}

Status ContainerDir::SetAside(std::string_view name) const {
  return dir_.Rename(name, core::StrCat(name, ".corrupt"), /*replace=*/true);
}

Status ContainerDir::MoveInto(const store::DataRoot& root,
                              const store::OperationDir& operation) const {
  MBX_RETURN_IF_ERROR(CheckInPlace(root));
  MBX_RETURN_IF_ERROR(
      root.dir().Rename(Path(id_), core::StrCat(operation.path(), "/", id_.ToString())));
  MBX_ASSIGN_OR_RETURN(const core::Fd parent,
                       root.dir().OpenAt(kContainers, O_RDONLY | O_DIRECTORY));
  return core::SyncDir(parent.get());
}

}  // namespace minibox::runtime
