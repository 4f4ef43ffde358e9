// SPDX-License-Identifier: Apache-2.0
#include "store/snapshots.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/differences.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr size_t kKeyDigits = 64;
constexpr size_t kMaxRecordBytes = 1u << 20;
// Differences over each other; who makes them stops long before.
constexpr int kMaxDepth = 32;

Status CheckKey(std::string_view key) {
  const bool good = key.size() == kKeyDigits && std::all_of(key.begin(), key.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  return good ? Status() : core::Internal("a cache key is 64 hex digits");
}

std::string RecordName(std::string_view key) { return core::StrCat(key, kRecordSuffix); }

// Of record and tree of one snapshot; the caller may hold the lock of the key for its work on it.
StatusOr<core::FileLock> LockRecord(const DataRoot& root, std::string_view key) {
  return root.LockKey(core::StrCat(kSnapshotLock, key));
}

std::string Serialize(const SnapshotRecord& record) {
  json::Writer out(2);
  out.BeginObject();
  out.Key("parent").String(record.parent);
  out.Key("base").String(record.base);
  out.Key("instruction").String(record.instruction);
  out.Key("empty").Bool(record.empty);
  out.Key("created").Int(record.created);
  out.Key("size_bytes").Uint(record.size_bytes);
  out.Key("results").StringMap(record.results);
  out.EndObject();
  return out.Take();
}

StatusOr<SnapshotRecord> Parse(std::string_view text) {
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
  SnapshotRecord record;
  MBX_ASSIGN_OR_RETURN(record.parent, root.GetString("parent"));
  MBX_ASSIGN_OR_RETURN(record.base, root.GetString("base", ""));
  MBX_ASSIGN_OR_RETURN(record.instruction, root.GetString("instruction"));
  MBX_ASSIGN_OR_RETURN(record.empty, root.Get("empty").AsBool());
  MBX_ASSIGN_OR_RETURN(record.created, root.GetInt("created"));
  MBX_ASSIGN_OR_RETURN(record.size_bytes, root.Get("size_bytes").AsUint());
  MBX_ASSIGN_OR_RETURN(record.results, root.GetStringMap("results"));
  return record;
}

std::optional<SnapshotRecord> ReadSnapshot(const core::RootDir& layers, const std::string& key,
                                           int depth = 0);

// Whether what the record's tree lies over is there and the same as when that was made.
bool IsWhole(const core::RootDir& layers, const SnapshotRecord& record, int depth) {
  const auto over = record.results.find(kOverResult);
  if (over == record.results.end()) return true;
  if (depth == kMaxDepth || !CheckKey(record.parent).ok()) return false;
  const auto under = layers.LStat(record.parent);
  return under.ok() && std::to_string(under->st_ino) == over->second &&
         ReadSnapshot(layers, record.parent, depth + 1).has_value();
}

// nullopt: record and tree are not both there and good, or what it is a difference to is not.
std::optional<SnapshotRecord> ReadSnapshot(const core::RootDir& layers, const std::string& key,
                                           int depth) {
  const auto tree = layers.LStat(key);
  if (!tree.ok() || !S_ISDIR(tree->st_mode)) return std::nullopt;
  const auto text = layers.ReadFile(RecordName(key), kMaxRecordBytes);
  if (!text.ok()) return std::nullopt;
  auto record = Parse(*text);
  if (record.ok() && !IsWhole(layers, *record, depth)) return std::nullopt;
  if (record.ok()) return *std::move(record);
  core::LogWarning("store", core::StrCat("snapshot ", key.substr(0, 12), ": ",
                                         record.status().message(), ", removing it"));
  return std::nullopt;
}

// With the lock held. The record goes first: a tree without one is never a hit.
Status RemoveLocked(DataRoot& root, const core::RootDir& layers, const std::string& key) {
  Status removed = layers.Unlink(RecordName(key));
  // Damage of any kind goes away, else the key could never be built again.
  if (removed.sys_errno() == EISDIR) removed = layers.RemoveAll(RecordName(key));
  if (!removed.ok() && removed.sys_errno() != ENOENT) return removed;
  if (!layers.Exists(key)) return core::SyncDir(layers.fd());
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root.NewOperation("snapshot"));
  if (renameat(layers.fd(), key.c_str(), operation.dir().fd(), "tree") != 0 && errno != ENOENT) {
    return core::SysError("renameat", Snapshots::Path(key));
  }
  return core::SyncDir(layers.fd());
}

}  // namespace

std::string SnapshotRecord::ManifestResult() const {
  const auto result = results.find(kManifestResult);
  return result == results.end() ? "" : result->second;
}

std::string Snapshots::Path(std::string_view key) { return core::StrCat(kLayers, "/", key); }

StatusOr<std::optional<SnapshotRecord>> Snapshots::Find(std::string_view key) const {
  MBX_RETURN_IF_ERROR(CheckKey(key));
  const std::string name(key);
  MBX_ASSIGN_OR_RETURN(const core::RootDir layers, root_->dir().OpenDir(kLayers));
  if (auto record = ReadSnapshot(layers, name)) {
    // Its use only decides what is dropped first; that it cannot be noted is no reason to fail.
    (void)utimensat(layers.fd(), RecordName(name).c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
    return record;
  }
  if (!layers.Exists(name) && !layers.Exists(RecordName(name))) {
    return std::optional<SnapshotRecord>();
  }
  // Half of one: somebody is publishing it, or died while doing so.
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockRecord(*root_, key));
  if (auto record = ReadSnapshot(layers, name)) return record;
  MBX_RETURN_IF_ERROR(RemoveLocked(*root_, layers, name));
  return std::optional<SnapshotRecord>();
}

std::optional<SnapshotRecord> Snapshots::Peek(std::string_view key) const {
  if (!CheckKey(key).ok()) return std::nullopt;
  const auto layers = root_->dir().OpenDir(kLayers);
  return layers.ok() ? ReadSnapshot(*layers, std::string(key)) : std::nullopt;
}

Status Snapshots::Publish(std::string_view key, const OperationDir& operation,
                          std::string_view tree, const SnapshotRecord& record) const {
  MBX_RETURN_IF_ERROR(CheckKey(key));
  const std::string name(key), source(tree);
  MBX_ASSIGN_OR_RETURN(const core::RootDir layers, root_->dir().OpenDir(kLayers));
  MBX_FAILPOINT("snapshot.sync");
  if (syncfs(operation.dir().fd()) != 0) return core::SysError("syncfs", operation.path());
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockRecord(*root_, key));
  if (ReadSnapshot(layers, name)) return Status();
  MBX_RETURN_IF_ERROR(RemoveLocked(*root_, layers, name));
  MBX_FAILPOINT("snapshot.rename");
  if (renameat2(operation.dir().fd(), source.c_str(), layers.fd(), name.c_str(),
                RENAME_NOREPLACE) != 0) {
    return core::SysError("renameat2", Path(key));
  }
  // The record makes it a snapshot, and its replacement syncs the directory for both.
  Status written = core::ReplaceFileAt(layers.fd(), RecordName(name), Serialize(record), 0600);
  if (!written.ok()) (void)RemoveLocked(*root_, layers, name);
  return written;
}

Status Snapshots::UpdateRecord(std::string_view key, const SnapshotRecord& record) const {
  MBX_RETURN_IF_ERROR(CheckKey(key));
  const std::string name(key);
  MBX_ASSIGN_OR_RETURN(const core::RootDir layers, root_->dir().OpenDir(kLayers));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockRecord(*root_, key));
  if (!layers.Exists(name) || !layers.Exists(RecordName(name))) {
    return core::NotFound("snapshot_not_found",
                          core::StrCat("snapshot ", name.substr(0, 12), " not found"));
  }
  return core::ReplaceFileAt(layers.fd(), RecordName(name), Serialize(record), 0600);
}

Status Snapshots::Remove(std::string_view key) const {
  MBX_RETURN_IF_ERROR(CheckKey(key));
  MBX_ASSIGN_OR_RETURN(const core::RootDir layers, root_->dir().OpenDir(kLayers));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockRecord(*root_, key));
  return RemoveLocked(*root_, layers, std::string(key));
}

}  // namespace minibox::store
