// SPDX-License-Identifier: Apache-2.0
// containers/<id>/: the records of one container, replaced atomically, and its lock.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_lock.h"
#include "core/root_dir.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/container_record.h"
#include "store/data_root.h"

namespace minibox::runtime {

inline constexpr std::string_view kContainers = "containers";
inline constexpr std::string_view kStateFile = "state.json", kExitFile = "exit.json";

// Thread-safe; the descriptor stays valid (and the directory readable) after removal.
class ContainerDir {
 public:
  // kNotFound "container_not_found".
  static StatusOr<ContainerDir> Open(const store::DataRoot& root, const ContainerId& id);
  // Prepares config.json, state.json, upper, work and rootfs in tmp/ and renames the directory
  // into place, already locked; kAlreadyExists if the id is taken.
  struct Created;
  static StatusOr<Created> Create(store::DataRoot& root, const ContainerConfig& config,
                                  const ContainerRecord& record);
  // Ids of all containers, sorted.
  static StatusOr<std::vector<ContainerId>> List(const store::DataRoot& root);
  // "containers/<id>"
  static std::string Path(const ContainerId& id);

  const ContainerId& id() const { return id_; }
  const core::RootDir& dir() const { return dir_; }

  // Waits. kNotFound "container_not_found" if it was removed meanwhile.
  StatusOr<core::FileLock> Lock(const store::DataRoot& root, std::stop_token stop = {}) const;
  // nullopt: somebody else is at work.
  StatusOr<std::optional<core::FileLock>> TryLock(const store::DataRoot& root) const;

  StatusOr<ContainerRecord> ReadRecord() const;
  Status WriteRecord(const ContainerRecord& record) const;
  StatusOr<ContainerConfig> ReadConfig() const;
  Status WriteConfig(const ContainerConfig& config) const;
  // exit.json, which the monitor writes before anybody is told; nullopt if there is none.
  StatusOr<std::optional<ExitStatus>> ReadExit() const;
  // Before a new run, so that an old exit is not taken for its own.
  Status ClearExit() const;
  // A file that is bound into the container, 0644; the inode stays if it exists.
  Status WriteGenerated(std::string_view name, std::string_view text) const;
  // What the directory takes on the disk, as far as it can be read.
  uint64_t DiskBytes() const;
  // Renames a record that does not parse to <name>.corrupt.
  Status SetAside(std::string_view name) const;

  // Renames the directory into `operation`, whose end deletes it.
  Status MoveInto(const store::DataRoot& root, const store::OperationDir& operation) const;
  // kNotFound "container_not_found" if containers/<id> is not this directory any more.
  Status CheckInPlace(const store::DataRoot& root) const;

 private:
  ContainerDir(ContainerId id, core::RootDir dir) : id_(std::move(id)), dir_(std::move(dir)) {}
  ContainerId id_;
  core::RootDir dir_;
};

struct ContainerDir::Created {
  ContainerDir dir;
  core::FileLock lock;
};

}  // namespace minibox::runtime
