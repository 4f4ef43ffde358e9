// SPDX-License-Identifier: Apache-2.0
// cache/<64 hex digits>/: contents of RUN --mount=type=cache, kept between builds (spec §6,
// §7.8). Beside it <name>.json says what it is for; <name>.lock is locked, shared or alone, while a
// step uses it.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/root_dir.h"
#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::store {

enum class CacheSharing {
  kShared,   // any number of steps at once
  kPrivate,  // one step; others get a directory of their own meanwhile
  kLocked,   // one step; others wait
};

struct CacheMountRequest {
  std::string id{};
  CacheSharing sharing = CacheSharing::kShared;
  mode_t mode = 0755;  // of a new directory, and whom it belongs to
  uid_t uid = 0;
  gid_t gid = 0;
};

// A cache in use: nobody removes it while this lives.
struct CacheMount {
  core::RootDir dir{};
  core::Fd lock{};
};

struct CacheMountInfo {
  std::string name{};     // of the directory
  std::string id{};       // as the MiniBox file says
  int64_t last_used = 0;  // seconds since the epoch
};

class CacheMounts {
 public:
  explicit CacheMounts(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // Makes it if it is missing; waits as `sharing` says.
  StatusOr<CacheMount> Open(const CacheMountRequest& request, std::stop_token stop) const;
  // Complete ones, by name.
  StatusOr<std::vector<CacheMountInfo>> List() const;
  // False, and nothing is done, if a step uses it.
  StatusOr<bool> Remove(std::string_view name) const;

 private:
  StatusOr<core::RootDir> OpenDir(const std::string& name, const CacheMountRequest& request) const;
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
