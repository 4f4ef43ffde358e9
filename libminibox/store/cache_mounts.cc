// SPDX-License-Identifier: Apache-2.0
#include "store/cache_mounts.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr size_t kNameDigits = 64;
constexpr size_t kMaxRecordBytes = 64u << 10;
// Private caches of one id that are in use at once.
constexpr int kMaxPrivate = 1000;

bool IsName(std::string_view name) {
  return name.size() == kNameDigits && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// An id may be any text, such as a path. `number` tells private ones apart.
std::string NameOf(std::string_view id, int number) {
  core::Sha256 hash;
  hash.Update(core::StrCat("cache mount ", number, " "));
  hash.Update(id);
  return hash.FinishHex();
}

std::string RecordName(std::string_view name) { return core::StrCat(name, kRecordSuffix); }
std::string LockName(std::string_view name) { return core::StrCat(name, ".lock"); }

// Waits for the lock, which dies with its holder; an invalid descriptor if `wait` is off and
// somebody else has it. The file stays when the cache goes: unlinking one for which somebody waits
// would make two locks.
StatusOr<core::Fd> Lock(DataRoot& root, std::string_view name, int operation, bool wait,
                        const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kPause{20};
  MBX_ASSIGN_OR_RETURN(const core::RootDir caches, root.dir().OpenDir(kCache));
  MBX_ASSIGN_OR_RETURN(core::Fd file, caches.OpenNoFollow(LockName(name), O_RDWR | O_CREAT, 0600));
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock guard(mutex);
  while (flock(file.get(), operation | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return core::SysError("flock", name);
    if (!wait) return core::Fd();
    if (stop.stop_requested()) return core::Cancelled("waiting for a cache mount");
    // There is no way to wait for a flock and for something else at once.
    stopped.wait_for(guard, stop, kPause, [] { return false; });
  }
  return file;
}

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

StatusOr<core::RootDir> CacheMounts::OpenDir(const std::string& name,
                                             const CacheMountRequest& request) const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir caches, root_->dir().OpenDir(kCache));
  if (!caches.Exists(name)) {
    // Prepared aside, so that it is there with its owner and mode or not at all.
    MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("cache"));
    MBX_RETURN_IF_ERROR(operation.dir().MakeDir("tree", 0700));
    MBX_ASSIGN_OR_RETURN(const core::RootDir tree, operation.dir().OpenDir("tree"));
    if (fchown(tree.fd(), request.uid, request.gid) != 0 ||
        fchmodat(operation.dir().fd(), "tree", request.mode & 07777, 0) != 0) {
      return core::SysError("fchmod", name);
    }
    // Of several who make it at once one wins.
    if (renameat2(operation.dir().fd(), "tree", caches.fd(), name.c_str(), RENAME_NOREPLACE) != 0 &&
        errno != EEXIST) {
      return core::SysError("renameat2", name);
    }
  }
  json::Writer record(2);
  record.BeginObject();
  record.Key("id").String(request.id);
  record.Key("last_used").Int(Now());
  record.EndObject();
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(caches.fd(), RecordName(name), record.Take(), 0600));
  return caches.OpenDir(name);
}

StatusOr<CacheMount> CacheMounts::Open(const CacheMountRequest& request,
                                       std::stop_token stop) const {
  const auto use = [&](const std::string& name, core::Fd lock) -> StatusOr<CacheMount> {
    MBX_ASSIGN_OR_RETURN(core::RootDir dir, OpenDir(name, request));
    return CacheMount{std::move(dir), std::move(lock)};
  };
  const std::string first = NameOf(request.id, 0);
  if (request.sharing == CacheSharing::kShared) {
    MBX_ASSIGN_OR_RETURN(core::Fd lock, Lock(*root_, first, LOCK_SH, true, stop));
    return use(first, std::move(lock));
  }
  if (request.sharing == CacheSharing::kLocked) {
    MBX_ASSIGN_OR_RETURN(core::Fd lock, Lock(*root_, first, LOCK_EX, true, stop));
    return use(first, std::move(lock));
  }
  for (int number = 0; number < kMaxPrivate; ++number) {
    const std::string name = NameOf(request.id, number);
    MBX_ASSIGN_OR_RETURN(core::Fd lock, Lock(*root_, name, LOCK_EX, false, stop));
    if (lock.valid()) return use(name, std::move(lock));
  }
  return core::FailedPrecondition(
      "", core::StrCat("more than ", kMaxPrivate, " private caches of one id are in use"));
}

StatusOr<std::vector<CacheMountInfo>> CacheMounts::List() const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir caches, root_->dir().OpenDir(kCache));
  MBX_ASSIGN_OR_RETURN(std::vector<std::string> names, caches.List(""));
  std::sort(names.begin(), names.end());
  std::vector<CacheMountInfo> infos;
  for (auto& name : names) {
    if (!IsName(name)) continue;
    CacheMountInfo info{.name = std::move(name)};
    // One without a record is a cache all the same; nobody knows what for.
    const auto text = caches.ReadFile(RecordName(info.name), kMaxRecordBytes);
    if (text.ok()) {
      if (const auto record = json::Parse(*text); record.ok()) {
        info.id = record->GetString("id").ok() ? *record->GetString("id") : std::string();
        info.last_used = record->GetInt("last_used").ok() ? *record->GetInt("last_used") : 0;
      }
    }
    infos.push_back(std::move(info));
  }
  return infos;
}

StatusOr<bool> CacheMounts::Remove(std::string_view cache) const {
  if (!IsName(cache)) return core::Internal("a cache mount's name is 64 hex digits");
  const std::string name(cache);
  MBX_ASSIGN_OR_RETURN(const core::Fd lock, Lock(*root_, name, LOCK_EX, false, {}));
  if (!lock.valid()) return false;
  MBX_ASSIGN_OR_RETURN(const core::RootDir caches, root_->dir().OpenDir(kCache));
  const Status removed = caches.Unlink(RecordName(name));
  if (!removed.ok() && removed.sys_errno() != ENOENT) return removed;
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("cache"));
  if (renameat(caches.fd(), name.c_str(), operation.dir().fd(), "tree") != 0 && errno != ENOENT) {
    return core::SysError("renameat", name);
  }
  return true;
}

}  // namespace minibox::store
