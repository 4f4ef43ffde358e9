// SPDX-License-Identifier: Apache-2.0
#include "store/leases.h"

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/id.h"
#include "core/json.h"
#include "core/log.h"
#include "core/process.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr std::string_view kLock = ".lock";
constexpr std::chrono::hours kLifetime{1};

std::string RecordName(std::string_view id) { return core::StrCat(id, kRecordSuffix); }
std::string LockName(std::string_view id) { return core::StrCat(id, kLock); }

}  // namespace

struct Lease::Impl {
  Impl(std::shared_ptr<DataRoot> data_root, core::RootDir leases, std::string lease_id,
       core::FileLock held)
      : root(std::move(data_root)),
        dir(std::move(leases)),
        id(std::move(lease_id)),
        lock(std::move(held)) {}

  ~Impl() {
    const Status removed = dir.Unlink(RecordName(id));
    if (!removed.ok() && removed.sys_errno() != ENOENT) {
      core::LogWarning("store", core::StrCat("lease ", id, ": ", removed.message(), ", ignoring"));
    }
    (void)dir.Unlink(LockName(id));
  }

  // With the mutex held.
  Status Write() const {
    const auto now = std::chrono::system_clock::now();
    json::Writer out(2);
    out.BeginObject();
    out.Key("operation").String(operation);
    out.Key("pid").Int(getpid());
    out.Key("start_time").Uint(start_time);
    out.Key("boot_id").String(boot_id);
    out.Key("created_at").String(core::FormatTime(created));
    out.Key("expires_at").String(core::FormatTime(now + kLifetime));
    const std::pair<std::string_view, const std::set<std::string>&> sets[] = {
        {"blobs", blobs}, {"layers", layers}, {"snapshots", snapshots}};
    for (const auto& [key, members] : sets) {
      out.Key(key).StringArray({members.begin(), members.end()});
    }
    out.EndObject();
    return core::ReplaceFileAt(dir.fd(), RecordName(id), out.Take(), 0600);
  }

  Status Add(std::set<std::string>& members, std::string_view member) {
    const std::lock_guard guard(mutex);
    const auto [added, is_new] = members.emplace(member);
    if (!is_new) return Status();
    Status written = Write();
    // What is not on disk is not protected, and a second attempt must write again.
    if (!written.ok()) members.erase(added);
    return written.WithContext("lease");
  }

  const std::shared_ptr<DataRoot> root;
  const core::RootDir dir;
  const std::string id;
  const core::FileLock lock;
  std::string operation, boot_id;
  uint64_t start_time = 0;
  TimePoint created{};
  std::mutex mutex;  // guards the sets, and orders the writes
  std::set<std::string> blobs, layers, snapshots;
};

Lease::Lease(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease::~Lease() = default;

Status Lease::AddBlob(const Digest& digest) { return impl_->Add(impl_->blobs, digest.ToString()); }

Status Lease::AddLayer(const Digest& diff_id) {
  return impl_->Add(impl_->layers, diff_id.ToString());
}

Status Lease::AddSnapshot(std::string_view key) { return impl_->Add(impl_->snapshots, key); }

StatusOr<Lease> Leases::Acquire(std::string_view operation) const {
  MBX_FAILPOINT("lease.acquire");
  MBX_ASSIGN_OR_RETURN(core::RootDir dir, root_->dir().OpenDir(kLeases));
  const std::string id = core::RandomHex(16);
  // The lock first: a record without one is nobody's.
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, core::FileLock::Acquire(dir.fd(), LockName(id)));
  auto impl = std::make_unique<Lease::Impl>(root_, std::move(dir), id, std::move(lock));
  impl->operation = operation;
  impl->created = std::chrono::system_clock::now();
  MBX_ASSIGN_OR_RETURN(impl->start_time, core::ProcessStartTime(getpid()));
  MBX_ASSIGN_OR_RETURN(impl->boot_id, core::BootId());
  MBX_RETURN_IF_ERROR(impl->Write().WithContext("lease"));
  return Lease(std::move(impl));
}

Status Leases::Sweep() const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, root_->dir().OpenDir(kLeases));
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, dir.List(""));
  // The files of each lease: record, lock, temporary files of a record.
  std::map<std::string, std::vector<std::string>> leases;
  for (const std::string& name : names) {
    const std::string_view replaced = core::NameReplacedBy(name);
    std::string_view id = replaced.empty() ? std::string_view(name) : replaced;
    for (const std::string_view suffix : {kRecordSuffix, kLock}) {
      if (id.ends_with(suffix)) id.remove_suffix(suffix.size());
    }
    leases[std::string(id)].push_back(name);
  }
  Status first;
  for (auto& [id, files] : leases) {
    const std::string lock_name = LockName(id);
    auto lock = core::FileLock::TryAcquire(dir.fd(), lock_name);
    if (lock.ok() && !lock->has_value()) continue;
    if (!lock.ok()) {
      if (first.ok()) first = lock.status();
      continue;
    }
    // The lock last: without it nobody would look for the rest.
    std::erase(files, lock_name);
    files.push_back(lock_name);
    for (const std::string& file : files) {
      const Status removed = dir.Unlink(file);
      if (!removed.ok() && removed.sys_errno() != ENOENT && first.ok()) first = removed;
    }
  }
  return first;
}

}  // namespace minibox::store
