// SPDX-License-Identifier: Apache-2.0
#include "store/leases.h"

#include <unistd.h>

#include <algorithm>
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
#include "store/collection_lock.h"
#include "store/kept_leases.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr std::string_view kLock = ".lock";
constexpr std::chrono::seconds kLifetime = std::chrono::hours(1);
constexpr size_t kMaxRecordBytes = 64u << 20;

std::string RecordName(std::string_view id) { return core::StrCat(id, kRecordSuffix); }
std::string LockName(std::string_view id) { return core::StrCat(id, kLock); }

// Members of a record and where they belong.
constexpr std::pair<const char*, std::set<std::string> LeaseItems::*> kSets[] = {
    {"blobs", &LeaseItems::blobs},
    {"layers", &LeaseItems::layers},
    {"snapshots", &LeaseItems::snapshots},
    {"caches", &LeaseItems::caches},
    {"volumes", &LeaseItems::volumes}};

StatusOr<json::Value> ReadRecord(const core::RootDir& dir, std::string_view id) {
  MBX_ASSIGN_OR_RETURN(const std::string text, dir.ReadFile(RecordName(id), kMaxRecordBytes));
  json::ParseLimits limits;
  limits.max_bytes = kMaxRecordBytes;
  auto record = json::Parse(text, limits);
  if (!record.ok()) {
    return core::DataLoss(core::StrCat("lease ", id, ": ", record.status().message()));
  }
  return record;
}

// Of a lease whose owner is gone; not any more, if `done` is its operation.
bool IsKept(const core::RootDir& dir, std::string_view id, std::string_view done) {
  const auto record = ReadRecord(dir, id);
  if (!record.ok()) return false;
  const auto kept = record->GetBool("keep", false);
  const auto expiry = record->GetString("expires_at");
  if (!kept.ok() || !*kept || !expiry.ok()) return false;
  const auto operation = record->GetString("operation", "");
  if (!done.empty() && operation.ok() && *operation == done) return false;
  const auto time = core::ParseTime(*expiry);
  return time.ok() && *time > std::chrono::system_clock::now();
}

// Those whose owner is gone and that are not kept, or not any more: `done` has succeeded.
StatusOr<int> RemoveUnheld(const DataRoot& root, std::string_view done, bool dry_run) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, root.dir().OpenDir(kLeases));
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
  int swept = 0;
  for (auto& [id, files] : leases) {
    const std::string lock_name = LockName(id);
    auto lock = core::FileLock::TryAcquire(dir.fd(), lock_name);
    if (lock.ok() && !lock->has_value()) continue;
    if (!lock.ok()) {
      if (first.ok()) first = lock.status();
      continue;
    }
    const bool has_record = std::find(files.begin(), files.end(), RecordName(id)) != files.end();
    if (has_record && IsKept(dir, id, done)) continue;
    swept += has_record;
    if (dry_run) continue;
    // The lock last: without it nobody would look for the rest.
    std::erase(files, lock_name);
    files.push_back(lock_name);
    for (const std::string& file : files) {
      const Status removed = dir.Unlink(file);
      if (!removed.ok() && removed.sys_errno() != ENOENT && first.ok()) first = removed;
    }
  }
  if (!first.ok()) return first;
  return swept;
}

}  // namespace

LeaseItems& LeaseItems::Blob(const Digest& digest) {
  blobs.insert(digest.ToString());
  return *this;
}

LeaseItems& LeaseItems::Layer(const Digest& diff_id) {
  layers.insert(diff_id.ToString());
  return *this;
}

struct Lease::Impl {
  Impl(std::shared_ptr<DataRoot> data_root, core::RootDir leases, std::string lease_id,
       core::FileLock held)
      : root(std::move(data_root)),
        dir(std::move(leases)),
        id(std::move(lease_id)),
        lock(std::move(held)) {}

  ~Impl() {
    // The record stays, held by nobody, if it is of use to anybody.
    if (keep > std::chrono::seconds(0) && !items.blobs.empty()) return;
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
    out.Key("expires_at").String(core::FormatTime(now + std::max(kLifetime, keep)));
    out.Key("keep").Bool(keep > std::chrono::seconds(0));
    for (const auto& [key, members] : kSets) {
      out.Key(key).StringArray({(items.*members).begin(), (items.*members).end()});
    }
    out.EndObject();
    MBX_ASSIGN_OR_RETURN(const CollectionLock no_collection, CollectionLock::Share(*root));
    return core::ReplaceFileAt(dir.fd(), RecordName(id), out.Take(), 0600);
  }

  Status Add(const LeaseItems& more) {
    const std::lock_guard guard(mutex);
    LeaseItems before = items;
    bool is_new = false;
    for (const auto& [key, members] : kSets) {
      for (const std::string& member : more.*members) {
        is_new |= (items.*members).insert(member).second;
      }
    }
    if (!is_new) return Status();
    Status written = Write();
    // What is not on disk is not protected, and a second attempt must write again.
    if (!written.ok()) items = std::move(before);
    return written.WithContext("lease");
  }

  const std::shared_ptr<DataRoot> root;
  const core::RootDir dir;
  const std::string id;
  const core::FileLock lock;
  std::string operation, boot_id;
  uint64_t start_time = 0;
  TimePoint created{};
  std::chrono::seconds keep{};
  std::mutex mutex;  // guards the items, and orders the writes
  LeaseItems items;
};

Lease::Lease(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Lease::Lease(Lease&&) noexcept = default;
Lease::~Lease() = default;

Status Lease::Add(const LeaseItems& items) { return impl_->Add(items); }

Status Lease::AddBlob(const Digest& digest) { return impl_->Add({.blobs = {digest.ToString()}}); }

Status Lease::AddLayer(const Digest& diff_id) {
  return impl_->Add({.layers = {diff_id.ToString()}});
}

Status Lease::AddSnapshot(std::string_view key) {
  return impl_->Add({.snapshots = {std::string(key)}});
}

Status Lease::AddCache(std::string_view id) { return impl_->Add({.caches = {std::string(id)}}); }

void Lease::Complete() { impl_->keep = std::chrono::seconds(0); }

StatusOr<Lease> Leases::Acquire(std::string_view operation, const LeaseItems& items,
                                std::chrono::seconds keep) const {
  MBX_FAILPOINT("lease.acquire");
  MBX_ASSIGN_OR_RETURN(core::RootDir dir, root_->dir().OpenDir(kLeases));
  const std::string id = core::RandomHex(16);
  // The lock first: a record without one is nobody's.
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, core::FileLock::Acquire(dir.fd(), LockName(id)));
  auto impl = std::make_unique<Lease::Impl>(root_, std::move(dir), id, std::move(lock));
  impl->operation = operation;
  impl->created = std::chrono::system_clock::now();
  impl->items = items;
  MBX_ASSIGN_OR_RETURN(impl->start_time, core::ProcessStartTime(getpid()));
  MBX_ASSIGN_OR_RETURN(impl->boot_id, core::BootId());
  impl->keep = keep;
  if (Status written = impl->Write(); !written.ok()) {
    impl->keep = std::chrono::seconds(0);
    return written.WithContext("lease");
  }
  return Lease(std::move(impl));
}

StatusOr<LeaseItems> Leases::Read() const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, root_->dir().OpenDir(kLeases));
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, dir.List(""));
  LeaseItems all;
  for (const std::string& name : names) {
    if (!name.ends_with(kRecordSuffix) || !core::NameReplacedBy(name).empty()) continue;
    const std::string id = name.substr(0, name.size() - kRecordSuffix.size());
    const auto record = ReadRecord(dir, id);
    if (record.status().sys_errno() == ENOENT) continue;  // it has just ended
    if (!record.ok()) {
      const auto lock = core::FileLock::TryAcquire(dir.fd(), LockName(id));
      if (lock.ok() && lock->has_value()) continue;  // nobody's, and to be swept
      return record.status();
    }
    for (const auto& [key, members] : kSets) {
      auto values = record->GetStringArray(key);
      if (!values.ok()) {
        return core::DataLoss(core::StrCat("lease ", name, ": ", values.status().message()));
      }
      (all.*members).insert(values->begin(), values->end());
    }
  }
  return all;
}

StatusOr<int> Leases::Sweep(bool dry_run) const { return RemoveUnheld(*root_, "", dry_run); }

Status ForgetKeptLeases(const DataRoot& root, std::string_view operation) {
  return RemoveUnheld(root, operation, /*dry_run=*/false).status();
}

}  // namespace minibox::store
