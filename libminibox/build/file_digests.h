// SPDX-License-Identifier: Apache-2.0
// Remembers what files of contexts hash to, so that a rebuild need not read them (spec §8.3).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace minibox::build {

// Thread-safe. Bounded.
class FileDigests {
 public:
  // The digest of a file that looks like `st`.
  std::optional<std::string> Find(const struct ::stat& st) const ABSL_LOCKS_EXCLUDED(mutex_);
  // `digest` was computed while the file looked like `st`. A file that has changed within the
  // last two seconds is not remembered: its times may not tell the next change.
  void Remember(const struct ::stat& st, const std::string& digest) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Key = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t, int64_t, int64_t>;
  static Key KeyOf(const struct ::stat& st);
  mutable absl::Mutex mutex_;
  std::map<Key, std::string> digests_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::build
