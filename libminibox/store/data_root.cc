// SPDX-License-Identifier: Apache-2.0
#include "store/data_root.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <set>
#include <vector>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/id.h"
#include "core/json.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/manifest.h"
#include "store/disk_usage.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr std::string_view kLockSuffix = ".lock";
constexpr std::string_view kLayoutText = R"({"imageLayoutVersion":"1.0.0"})";
constexpr size_t kMaxLayoutFile = 4096;
// Nobody takes this long between creating a temporary file and renaming it.
constexpr std::time_t kStaleAfterSeconds = 600;

// Parents first.
constexpr std::array kDirectories = {kBlobs,  kBlobs256, kExtracted,  kLazy,       kLayers,
                                     kCache,  kVolumes,  kVolumeMeta, kContainers, kNetworks,
                                     kLeases, kPartial,  kTmp};
// Records and what locks one of them; those of leases have locks of their own.
constexpr std::pair<std::string_view, std::string_view> kRecordLocks[] = {
    {kVolumeMeta, kVolumeLock}, {kLayers, kSnapshotLock}};
// What else may be there: files of spec §6, and what older versions left (§6.3).
constexpr std::array<std::string_view, 10> kOtherNames = {
    kOciLayout, kIndexFile, "state.json",  core::kEventsFile, "daemon.lock",
    kStoreLock, "run",      "base_layers", "images",          "lost+found"};

bool IsOurs(std::string_view name) {
  return std::find(kDirectories.begin(), kDirectories.end(), name) != kDirectories.end() ||
         std::find(kOtherNames.begin(), kOtherNames.end(), name) != kOtherNames.end() ||
         !core::NameReplacedBy(name).empty();
}

// A wrong value of the setting must not turn somebody's directory into ours: it would become
// 0700 and fill up.
Status CheckDirectory(const core::RootDir& dir, const std::string& path) {
  auto layout = dir.ReadFile(kOciLayout, kMaxLayoutFile);
  if (layout.ok()) {
    MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(*layout));
    MBX_ASSIGN_OR_RETURN(const std::string version, root.GetString("imageLayoutVersion"));
    if (version == "1.0.0") return Status();
    return core::FailedPrecondition(
        "", core::StrCat("layout version '", core::EscapeControl(version), "' is not supported"));
  }
  if (layout.status().sys_errno() != ENOENT) return layout.status();
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, dir.List(""));
  for (const std::string& name : names) {
    if (IsOurs(name)) continue;
    return core::FailedPrecondition("",
                                    core::StrCat("'", path, "' holds '", core::EscapeControl(name),
                                                 "' and is no data root: give an empty directory"));
  }
  return Status();
}

Status MakeRoot(const std::string& path) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir host, core::RootDir::Open("/"));
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  MBX_RETURN_IF_ERROR(host.MakeDirs(parent.string(), 0755));
  const Status made = host.MakeDir(path, 0700);
  return made.code() == StatusCode::kAlreadyExists ? Status() : made;
}

// Each step may have been the last of a process that died.
Status MakeTree(const core::RootDir& dir) {
  struct stat st {};
  if (fstat(dir.fd(), &st) != 0) return core::SysError("fstat", "data root");
  if ((st.st_mode & 07777) != 0700 && fchmod(dir.fd(), 0700) != 0) {
    return core::SysError("fchmod", "data root");
  }
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, core::FileLock::Acquire(dir.fd(), kStoreLock));
  MBX_FAILPOINT("data_root.layout");
  if (!dir.Exists(kOciLayout)) {
    MBX_RETURN_IF_ERROR(core::ReplaceFileAt(dir.fd(), kOciLayout, kLayoutText, 0644));
  }
  bool changed = false;
  for (const std::string_view name : kDirectories) {
    MBX_FAILPOINT("data_root.directory");
    const Status made = dir.MakeDir(name, 0700);
    if (!made.ok() && made.code() != StatusCode::kAlreadyExists) return made;
    changed |= made.ok();
  }
  if (changed) MBX_RETURN_IF_ERROR(core::SyncDir(dir.fd()));
  if (dir.Exists(kIndexFile)) return Status();
  return core::ReplaceFileAt(dir.fd(), kIndexFile, oci::SerializeIndex({}), 0644);
}

// The directory's own idea of its path: no link in it can be changed later.
StatusOr<std::string> PathOf(int fd) {
  char target[PATH_MAX];
  const std::string name = core::StrCat("/proc/self/fd/", fd);
  const ssize_t size = readlink(name.c_str(), target, sizeof target);
  if (size < 0) return core::SysError("readlink", name);
  return std::string(target, static_cast<size_t>(size));
}

// Any text as a file name; the file is swept when nobody holds it.
std::string KeyLockName(std::string_view key) {
  return core::StrCat("key-", core::Sha256::Hex(key), kLockSuffix);
}

// A temporary file in the root itself. Those of the store's own records are written under its
// lock, which the caller holds; whose the others are cannot be known.
bool IsLeftover(const core::RootDir& dir, const std::string& file, std::time_t now) {
  const std::string_view record = core::NameReplacedBy(file);
  if (record.empty()) return false;
  if (record == kIndexFile || record == kOciLayout) return true;
  const auto st = dir.LStat(file);
  return st.ok() && S_ISREG(st->st_mode) && now - st->st_mtime > kStaleAfterSeconds;
}

}  // namespace

OperationDir::OperationDir(OperationDir&&) noexcept = default;

OperationDir::~OperationDir() {
  if (root_ == nullptr) return;
  const std::string name = path_.substr(kTmp.size() + 1);
  const Status removed = root_->tmp_.RemoveAll(name);
  if (!removed.ok()) {
    core::LogWarning("store",
                     core::StrCat(path_, ": ", removed.message(), ", left for the next sweep"));
    return;
  }
  // While it is still held: a sweeper that waits for it looks again which file has the name.
  (void)root_->tmp_.Unlink(core::StrCat(name, kLockSuffix));
}

StatusOr<std::shared_ptr<DataRoot>> DataRoot::Open(std::string_view path, bool create) {
  if (path.empty()) return core::InvalidArgument("root", "is empty");
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return core::SysError("getcwd", "", error.value());
  std::string normal = absolute.lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  if (create) MBX_RETURN_IF_ERROR(MakeRoot(normal));
  MBX_ASSIGN_OR_RETURN(core::RootDir dir, core::RootDir::Open(normal));
  MBX_RETURN_IF_ERROR(CheckDirectory(dir, normal).WithContext("data root"));
  if (!create && !dir.Exists(kOciLayout)) {
    return core::FailedPrecondition("", core::StrCat("'", normal, "' is no data root"));
  }
  MBX_RETURN_IF_ERROR(MakeTree(dir).WithContext("data root"));
  MBX_ASSIGN_OR_RETURN(core::RootDir tmp, dir.OpenDir(kTmp));
  MBX_ASSIGN_OR_RETURN(std::string real, PathOf(dir.fd()));
  MBX_ASSIGN_OR_RETURN(core::EventLog events, core::EventLog::Open(dir.fd()));
  return std::shared_ptr<DataRoot>(
      new DataRoot(std::move(real), std::move(dir), std::move(tmp), std::move(events)));
}

StatusOr<OperationDir> DataRoot::NewOperation(std::string_view kind) {
  MBX_FAILPOINT("operation.create");
  const std::string name = core::StrCat(kind, "-", core::RandomHex(16));
  const std::string lock_name = core::StrCat(name, kLockSuffix);
  // The lock first: a directory without one is nobody's.
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, core::FileLock::Acquire(tmp_.fd(), lock_name));
  Status made = tmp_.MakeDir(name, 0700);
  auto dir = made.ok() ? tmp_.OpenDir(name) : made;
  if (!dir.ok()) {
    (void)tmp_.RemoveAll(name);
    (void)tmp_.Unlink(lock_name);
    return dir.status();
  }
  return OperationDir(shared_from_this(), core::StrCat(kTmp, "/", name), std::move(*dir),
                      std::move(lock));
}

StatusOr<Swept> DataRoot::SweepTemporary(bool dry_run) {
  Swept swept;
  const Status records = SweepRecords(dry_run, swept);
  const Status operations = SweepOperations(dry_run, swept);
  if (!records.ok()) return records;
  if (!operations.ok()) return operations;
  return swept;
}

Status DataRoot::SweepRecords(bool dry_run, Swept& swept) const {
  Status first;
  const auto note = [&](const Status& status) {
    if (!status.ok() && status.sys_errno() != ENOENT && first.ok()) first = status;
  };
  const auto remove = [&](const core::RootDir& dir, const std::string& file) {
    const uint64_t bytes = DiskUsage().Add(dir, file);
    const Status removed = dry_run ? Status() : dir.Unlink(file);
    if (removed.ok()) {
      ++swept.count;
      swept.bytes += bytes;
    }
    return removed;
  };
  {
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockStore());
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> files, dir_.List(""));
    const std::time_t now = std::time(nullptr);
    for (const std::string& file : files) {
      if (IsLeftover(dir_, file, now)) note(remove(dir_, file));
    }
  }
  for (const auto& [directory, lock_key] : kRecordLocks) {
    MBX_ASSIGN_OR_RETURN(const core::RootDir records, dir_.OpenDir(directory));
    MBX_ASSIGN_OR_RETURN(const std::vector<std::string> files, records.List(""));
    for (const std::string& file : files) {
      std::string_view name = core::NameReplacedBy(file);
      if (!name.ends_with(kRecordSuffix)) continue;
      name.remove_suffix(kRecordSuffix.size());
      // Its writer holds this lock.
      const auto lock = TryLockKey(core::StrCat(lock_key, name));
      note(lock.ok() && lock->has_value() ? remove(records, file) : lock.status());
    }
  }
  return first;
}

Status DataRoot::SweepOperations(bool dry_run, Swept& swept) const {
  Status first;
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, tmp_.List(""));
  std::set<std::string> operations;
  for (std::string_view name : names) {
    if (name.ends_with(kLockSuffix)) name.remove_suffix(kLockSuffix.size());
    operations.emplace(name);
  }
  for (const std::string& name : operations) {
    const std::string lock_name = core::StrCat(name, kLockSuffix);
    auto lock = core::FileLock::TryAcquire(tmp_.fd(), lock_name);
    Status status = lock.status();
    if (lock.ok()) {
      if (!lock->has_value()) continue;
      if (tmp_.Exists(name)) {
        ++swept.count;
        swept.bytes += DiskUsage().Add(tmp_, name);
      }
      if (dry_run) continue;
      status = tmp_.RemoveAll(name);
      if (status.ok()) status = tmp_.Unlink(lock_name);
    }
    if (!status.ok() && first.ok()) first = status;
  }
  return first;
}

StatusOr<core::FileLock> DataRoot::LockStore() const {
  return core::FileLock::Acquire(dir_.fd(), kStoreLock);
}

StatusOr<core::FileLock> DataRoot::LockKey(std::string_view key, std::stop_token stop) const {
  return core::FileLock::Acquire(tmp_.fd(), KeyLockName(key), std::move(stop));
}

StatusOr<std::optional<core::FileLock>> DataRoot::TryLockKey(std::string_view key) const {
  return core::FileLock::TryAcquire(tmp_.fd(), KeyLockName(key));
}

}  // namespace minibox::store
