// SPDX-License-Identifier: Apache-2.0
// RunDir/<id>/ with a lock: says that an id without container record (a build step) is in use
// by a living process, so that recovery in another process leaves its cgroup, links and id
// range alone, and sweeps them once the process is gone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/file_lock.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::runtime {

class RunClaim;
// nullopt: a living process holds the claim. Otherwise the claim is ours, to sweep with.
StatusOr<std::optional<RunClaim>> TakeAbandonedClaim(const core::RootDir& run_dir,
                                                     std::string_view id);

class RunClaim {
 public:
  // `id`: at most 10 characters (it names a link), unlike a container id.
  static StatusOr<RunClaim> Acquire(const core::RootDir& run_dir, std::string_view id);
  RunClaim(RunClaim&& other) noexcept = default;
  RunClaim& operator=(RunClaim&&) = delete;
  // Removes the directory: destroy it after all that it stands for.
  ~RunClaim();
  const std::string& id() const { return id_; }

 private:
  friend StatusOr<std::optional<RunClaim>> TakeAbandonedClaim(const core::RootDir&,
                                                              std::string_view);
  RunClaim(core::RootDir run_dir, std::string id, core::FileLock lock)
      : run_dir_(std::move(run_dir)), id_(std::move(id)), lock_(std::move(lock)) {}
  core::RootDir run_dir_;  // invalid after a move
  std::string id_;
  core::FileLock lock_;
};

}  // namespace minibox::runtime
