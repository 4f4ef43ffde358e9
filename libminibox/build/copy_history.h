// SPDX-License-Identifier: Apache-2.0
// A COPY of a large directory of which little has changed is written as a difference: a snapshot
// that lies over that of the last such COPY and holds only what differs.
//
//   COPY src /src     first      layers/<key 1>: 20,000 files
//   one file changed  key 2      layers/<key 2>: that file, over <key 1>
//   and once more     key 3      layers/<key 3>: that file, over <key 2>
//
// What both hold together is what a COPY of everything would have left: the digest of the layer
// does not depend on how it came about.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "build/cache_key.h"
#include "build/copy_plan.h"
#include "core/root_dir.h"

namespace minibox::build {

// What the last COPY of each shape took: those whose keys differ in nothing but the entries. Of
// this process only, and bounded; what is not known is copied whole. Thread-safe.
class CopyHistory {
 public:
  struct Known {
    std::string key{};  // of the snapshot
    std::vector<KeyEntry> entries{};
  };
  static constexpr size_t kMaxShapes = 16, kMaxEntries = 250'000;  // of all shapes

  // nullptr: nothing.
  std::shared_ptr<const Known> Find(std::string_view shape) const ABSL_LOCKS_EXCLUDED(mutex_);
  void Remember(std::string_view shape, std::string_view key, std::vector<KeyEntry> entries)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Shape {
    std::string name{};
    std::shared_ptr<const Known> known{};
  };
  mutable absl::Mutex mutex_;
  std::list<Shape> shapes_ ABSL_GUARDED_BY(mutex_);  // last used first
};

// Of `plan`, whose key entries are `now`, what differs from a COPY with the entries `before`.
// nullopt if a snapshot over that one cannot say it: something has gone or become another kind of
// file, hard links, several sources, or `below`, what lies under both, has what was changed at
// `destination`: then it might have to show through again.
std::optional<CopyPlan> PlanDifference(const CopyPlan& plan, const std::vector<KeyEntry>& now,
                                       const std::vector<KeyEntry>& before,
                                       std::string_view destination, const core::RootDir& below);

}  // namespace minibox::build
