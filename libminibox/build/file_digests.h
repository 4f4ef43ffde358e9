// SPDX-License-Identifier: Apache-2.0
// Remembers what files of contexts hash to, so that a rebuild need not read them (spec §8.3).
// Kept in the data root between processes.
#pragma once

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::build {

// Thread-safe. Bounded.
class FileDigests {
 public:
  // Of this process only.
  FileDigests() = default;
  // Also what earlier builds, in any process, have saved in the data root.
  explicit FileDigests(std::shared_ptr<store::DataRoot> root) : root_(std::move(root)) {}

  // The digest of a file that looks like `st`: 64 hex digits.
  std::optional<std::string> Find(const struct ::stat& st) const ABSL_LOCKS_EXCLUDED(mutex_);
  // `digest` was computed while the file looked like `st`. A file that has changed within the
  // last two seconds is not remembered: its times may not tell the next change.
  void Remember(const struct ::stat& st, const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);

  // Reads what others have saved meanwhile. What is damaged is passed over.
  void Load() ABSL_LOCKS_EXCLUDED(mutex_);
  // Saves what is new. A failure costs the next build some reading, nothing else.
  Status Save() ABSL_LOCKS_EXCLUDED(mutex_);

  // Relative to the data root.
  static constexpr char kFile[] = "cache/file-digests";

 private:
  using Sha256Bytes = std::array<unsigned char, 32>;
  struct Name {
    uint64_t device, inode;
    bool operator==(const Name&) const = default;
  };
  struct NameHash {
    size_t operator()(const Name& name) const {
      return static_cast<size_t>((name.inode * 0x9E3779B97F4A7C15u) ^ name.device);
    }
  };
  struct Looks {
    int64_t size, mtime, mtime_ns, ctime, ctime_ns;
    bool operator==(const Looks&) const = default;
  };
  struct Entry {
    Looks looks;
    Sha256Bytes digest;
  };
  // What stands in the file, in the machine's byte order.
  struct Record {
    Name name;
    Entry entry;
    uint64_t check;
  };
  static Looks LooksOf(const struct ::stat& st);
  static uint64_t CheckOf(const Record& record);
  void Put(const Name& name, const Entry& entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status Append(const std::string& bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Status Rewrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<store::DataRoot> root_;
  mutable absl::Mutex mutex_;
  std::unordered_map<Name, Entry, NameHash> entries_ ABSL_GUARDED_BY(mutex_);
  std::vector<Name> unsaved_ ABSL_GUARDED_BY(mutex_);
  // Of the file as far as it has been read.
  uint64_t read_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  ino_t read_inode_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace minibox::build
