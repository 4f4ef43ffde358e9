// SPDX-License-Identifier: Apache-2.0
#include "runtime/run_claim.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "minibox/types.h"

namespace minibox::runtime {
namespace {

constexpr std::string_view kLock = "claim";
constexpr size_t kMaxId = 10;  // "veth-" and the id have to fit an interface name

}  // namespace

StatusOr<RunClaim> RunClaim::Acquire(const core::RootDir& run_dir, std::string_view id) {
  if (id.empty() || id.size() > kMaxId || ContainerId::Parse(id).ok()) {
    return core::Internal(core::StrCat("'", id, "' cannot name a run"));
  }
  MBX_ASSIGN_OR_RETURN(core::RootDir owner, run_dir.Clone());
  MBX_RETURN_IF_ERROR(run_dir.MakeDir(id, 0700));
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, run_dir.OpenDir(id));
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, core::FileLock::Acquire(dir.fd(), kLock));
  return RunClaim(std::move(owner), std::string(id), std::move(lock));
}

RunClaim::~RunClaim() {
  // A directory that stays is found by the next recovery.
  if (run_dir_.valid()) (void)run_dir_.RemoveAll(id_);
}

StatusOr<std::optional<RunClaim>> TakeAbandonedClaim(const core::RootDir& run_dir,
                                                     std::string_view id) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, run_dir.OpenDir(id));
  // Without a lock file its owner is between making the directory and the lock.
  if (!dir.Exists(kLock)) return std::optional<RunClaim>();
  MBX_ASSIGN_OR_RETURN(std::optional<core::FileLock> lock,
                       core::FileLock::TryAcquire(dir.fd(), kLock));
  if (!lock) return std::optional<RunClaim>();
  MBX_ASSIGN_OR_RETURN(core::RootDir owner, run_dir.Clone());
  return std::optional<RunClaim>(RunClaim(std::move(owner), std::string(id), std::move(*lock)));
}

}  // namespace minibox::runtime
