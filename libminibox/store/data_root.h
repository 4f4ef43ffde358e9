// SPDX-License-Identifier: Apache-2.0
// The directory tree of spec §6.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/event_log.h"
#include "core/file_lock.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::store {

// A directory of one operation below tmp/, held by a lock so that sweepers leave it alone;
// removed with its content by the destructor. On the data root's file system, so that
// content can be renamed into place.
class OperationDir {
 public:
  OperationDir(OperationDir&&) noexcept;
  OperationDir& operator=(OperationDir&&) = delete;
  ~OperationDir();
  const core::RootDir& dir() const { return dir_; }
  // Relative to the data root: "tmp/<name>".
  const std::string& path() const { return path_; }

 private:
  friend class DataRoot;
  OperationDir(std::shared_ptr<class DataRoot> root, std::string path, core::RootDir dir,
               core::FileLock lock)
      : root_(std::move(root)),
        path_(std::move(path)),
        dir_(std::move(dir)),
        lock_(std::move(lock)) {}
  std::shared_ptr<class DataRoot> root_;
  std::string path_;
  core::RootDir dir_;
  core::FileLock lock_;
};

// What a sweep found.
struct Swept {
  uint64_t count = 0;
  uint64_t bytes = 0;  // allocated
};

// Thread-safe.
class DataRoot : public std::enable_shared_from_this<DataRoot> {
 public:
  // Creates the tree, or what is missing of it. kNotFound if there is no directory and `create`
  // is off; kFailedPrecondition if the directory holds something else.
  static StatusOr<std::shared_ptr<DataRoot>> Open(std::string_view path, bool create);

  const std::string& path() const { return path_; }  // absolute, without links
  const core::RootDir& dir() const { return dir_; }
  // What happens to anything in here: root.events().Emit("volume.create", name, labels).
  const core::EventLog& events() const { return events_; }
  StatusOr<OperationDir> NewOperation(std::string_view kind);
  // Removes directories below tmp/ whose owner is gone, and temporary files beside records;
  // `dry_run` only counts them. Locks that nobody holds go too, and are not counted.
  StatusOr<Swept> SweepTemporary(bool dry_run = false);
  // "store.lock": held briefly per change of index.json.
  StatusOr<core::FileLock> LockStore() const;
  // One lock per digest, cache key or the like, so that concurrent work happens once. Any text;
  // the store's own keys begin with "store/". Not recursive.
  StatusOr<core::FileLock> LockKey(std::string_view key, std::stop_token stop = {}) const;
  // nullopt if somebody holds it.
  StatusOr<std::optional<core::FileLock>> TryLockKey(std::string_view key) const;

 private:
  friend class OperationDir;
  DataRoot(std::string path, core::RootDir dir, core::RootDir tmp, core::EventLog events)
      : path_(std::move(path)),
        dir_(std::move(dir)),
        tmp_(std::move(tmp)),
        events_(std::move(events)) {}
  Status SweepOperations(bool dry_run, Swept& swept) const;
  // Temporary files beside records, of writers that died between creating and renaming them.
  Status SweepRecords(bool dry_run, Swept& swept) const;
  std::string path_;
  core::RootDir dir_, tmp_;
  core::EventLog events_;
};

}  // namespace minibox::store
