// SPDX-License-Identifier: Apache-2.0
// How much of the disk a file or tree takes.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <set>
#include <string_view>
#include <utility>

#include "core/root_dir.h"

namespace minibox::store {

// Adds up allocated space; what has several names counts once, with the first that is added.
// What cannot be looked at, or has gone meanwhile, takes nothing. Not thread-safe.
class DiskUsage {
 public:
  // The entry `path` and everything below; links are not followed, mount points not entered.
  // Returns the bytes that it adds.
  uint64_t Add(const core::RootDir& root, std::string_view path);
  uint64_t total() const { return total_; }

 private:
  std::set<std::pair<dev_t, ino_t>> seen_;  // of files with several names
  uint64_t total_ = 0;
};

}  // namespace minibox::store
