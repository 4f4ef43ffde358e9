// SPDX-License-Identifier: Apache-2.0
// layers/<cache key>: the upper of one finished build instruction, beside it <key>.json.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::store {

struct SnapshotRecord {
  std::string parent{};       // key of the previous instruction, empty for a block's first
  std::string base{};         // manifest digest of the base under it, empty for scratch
  std::string instruction{};  // for people
  bool empty = false;         // changed nothing
  int64_t created = 0;        // seconds since the epoch
  uint64_t size_bytes = 0;
  // Set when a block's layer was made from it: blob and diff id.
  std::map<std::string, std::string> results{};

  // The manifest that an archive used as base became; empty for all others.
  std::string ManifestResult() const;
};

// A result of SnapshotRecord.
inline constexpr char kManifestResult[] = "manifest";

class Snapshots {
 public:
  explicit Snapshots(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // "layers/<key>"; keys are 64 hex digits.
  static std::string Path(std::string_view key);
  // nullopt: not there, or record and tree do not agree (then it is removed: a partial or
  // damaged snapshot is never a hit). What is found counts as used now: the modification time of
  // its record says when that was last.
  StatusOr<std::optional<SnapshotRecord>> Find(std::string_view key) const;
  // The same without touching anything.
  std::optional<SnapshotRecord> Peek(std::string_view key) const;
  // Renames `tree`, a directory in `operation`, to layers/<key> and writes the record. If there
  // is one already, that stays and `tree` is left for the operation to remove.
  Status Publish(std::string_view key, const OperationDir& operation, std::string_view tree,
                 const SnapshotRecord& record) const;
  // kNotFound "snapshot_not_found" if it was removed meanwhile.
  Status UpdateRecord(std::string_view key, const SnapshotRecord& record) const;
  Status Remove(std::string_view key) const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
