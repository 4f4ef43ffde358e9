// SPDX-License-Identifier: Apache-2.0
#include "store/volumes.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "absl/cleanup/cleanup.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/id.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/collection_lock.h"
#include "store/disk_usage.h"
#include "store/layout.h"
#include "store/usage.h"

namespace minibox::store {
namespace {

constexpr size_t kMaxName = 64;
constexpr int kAnonymousDigits = 64;
constexpr size_t kMaxRecordBytes = 128u << 20;  // 1000 labels of 64 KiB, escaped
constexpr size_t kMaxLabels = 1000, kMaxLabelKey = 256, kMaxLabelValue = 64 << 10;
constexpr char kTree[] = "volume";

std::string RecordName(std::string_view name) { return core::StrCat(name, kRecordSuffix); }

Status CheckName(std::string_view name) {
  if (IsValidVolumeName(name)) return Status();
  return core::InvalidArgument(
      "name", core::StrCat("'", core::EscapeControl(name.substr(0, 2 * kMaxName)),
                           "' is not a volume name: 1 to 64 of A-Z a-z 0-9 _ . -, the first a "
                           "letter or digit"));
}

Status CheckLabels(const Labels& labels) {
  if (labels.size() > kMaxLabels) {
    return core::InvalidArgument("labels", core::StrCat("more than ", kMaxLabels));
  }
  for (const auto& [key, value] : labels) {
    if (key.empty() || key.size() > kMaxLabelKey || value.size() > kMaxLabelValue) {
      return core::InvalidArgument(
          core::StrCat("labels[\"", core::EscapeControl(key.substr(0, kMaxLabelKey)), "\"]"),
          "a key has 1 to 256 bytes, a value at most 64 KiB");
    }
  }
  return Status();
}

Status NotFound(std::string_view name) {
  return core::NotFound("volume_not_found", core::StrCat("volume '", name, "' not found"));
}

StatusOr<core::FileLock> LockVolume(const DataRoot& root, std::string_view name) {
  return root.LockKey(core::StrCat(kVolumeLock, name));
}

std::string Serialize(const VolumeInfo& volume) {
  json::Writer out(2);
  out.BeginObject();
  out.Key("name").String(volume.name);
  out.Key("created_at").String(core::FormatTime(volume.created));
  out.Key("anonymous").Bool(volume.anonymous);
  out.Key("labels").StringMap(volume.labels);
  out.EndObject();
  return out.Take();
}

Status ReadRecord(const core::RootDir& meta, VolumeInfo& volume) {
  MBX_ASSIGN_OR_RETURN(const std::string text,
                       meta.ReadFile(RecordName(volume.name), kMaxRecordBytes));
  json::ParseLimits limits;
  limits.max_bytes = kMaxRecordBytes;
  MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text, limits));
  MBX_ASSIGN_OR_RETURN(const std::string created, root.GetString("created_at"));
  MBX_ASSIGN_OR_RETURN(const TimePoint time, core::ParseTime(created));
  MBX_ASSIGN_OR_RETURN(volume.anonymous, root.GetBool("anonymous", false));
  MBX_ASSIGN_OR_RETURN(volume.labels, root.GetStringMap("labels"));
  volume.created = time;
  return Status();
}

// The directory is the volume; its record adds to it.
StatusOr<VolumeInfo> ReadVolume(const DataRoot& root, std::string_view name) {
  const auto st = root.dir().LStat(core::StrCat(kVolumes, "/", name));
  if (st.status().sys_errno() == ENOENT) return NotFound(name);
  if (!st.ok()) return st.status();
  if (!S_ISDIR(st->st_mode)) return NotFound(name);
  VolumeInfo volume;
  volume.name = name;
  volume.path = core::StrCat(root.path(), "/", kVolumes, "/", name);
  // Of a volume from before there were records.
  volume.created = TimePoint(std::chrono::seconds(st->st_mtim.tv_sec));
  MBX_ASSIGN_OR_RETURN(const core::RootDir meta, root.dir().OpenDir(kVolumeMeta));
  const Status read = ReadRecord(meta, volume);
  if (!read.ok() && read.sys_errno() != ENOENT) {
    core::LogWarning("store",
                     core::StrCat("record of volume ", name, ": ", read.message(), ", ignoring"));
  }
  return volume;
}

}  // namespace

bool IsValidVolumeName(std::string_view name) {
  const auto alnum = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  return !name.empty() && name.size() <= kMaxName && alnum(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Status VolumeInUse(std::string_view name, const std::vector<std::string>& containers) {
  return core::FailedPrecondition(
      "volume_in_use",
      core::StrCat("volume '", name, "' is used by container ", core::StrJoin(containers, ", ")));
}

StatusOr<VolumeInfo> Volumes::Create(std::string_view given_name, const Labels& labels,
                                     Lease* lease) const {
  const bool anonymous = given_name.empty();
  const std::string name = anonymous ? core::RandomHex(kAnonymousDigits) : std::string(given_name);
  MBX_RETURN_IF_ERROR(CheckName(name));
  MBX_RETURN_IF_ERROR(CheckLabels(labels));
  if (lease != nullptr) MBX_RETURN_IF_ERROR(lease->Add({.volumes = {name}}));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockVolume(*root_, name));
  auto existing = ReadVolume(*root_, name);
  if (existing.ok() || existing.status().reason() != "volume_not_found") return existing;

  VolumeInfo volume;
  volume.name = name;
  volume.path = core::StrCat(root_->path(), "/", kVolumes, "/", name);
  volume.created = std::chrono::system_clock::now();
  volume.anonymous = anonymous;
  volume.labels = labels;
  MBX_ASSIGN_OR_RETURN(const core::RootDir volumes, root_->dir().OpenDir(kVolumes));
  MBX_ASSIGN_OR_RETURN(const core::RootDir meta, root_->dir().OpenDir(kVolumeMeta));
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("volume"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kTree, 0755));
  // The record first: the directory makes it a volume, and must find its record.
  MBX_RETURN_IF_ERROR(core::ReplaceFileAt(meta.fd(), RecordName(name), Serialize(volume), 0600));
  absl::Cleanup remove_record = [&] { (void)meta.Unlink(RecordName(name)); };
  MBX_FAILPOINT("volume.rename");
  if (renameat2(operation.dir().fd(), kTree, volumes.fd(), name.c_str(), RENAME_NOREPLACE) != 0) {
    return core::SysError("renameat2", volume.path);
  }
  std::move(remove_record).Cancel();
  MBX_RETURN_IF_ERROR(core::SyncDir(volumes.fd()));
  root_->events().Emit("volume.create", name, labels, volume.created);
  return volume;
}

StatusOr<VolumeInfo> Volumes::Inspect(std::string_view name) const {
  MBX_RETURN_IF_ERROR(CheckName(name));
  MBX_ASSIGN_OR_RETURN(VolumeInfo volume, ReadVolume(*root_, name));
  MBX_ASSIGN_OR_RETURN(const auto users, UsersByVolume(*root_));
  if (const auto found = users.find(name); found != users.end()) volume.containers = found->second;
  volume.size = DiskUsage().Add(root_->dir(), core::StrCat(kVolumes, "/", name));
  return volume;
}

StatusOr<std::vector<VolumeInfo>> Volumes::List() const {
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, root_->dir().List(kVolumes));
  MBX_ASSIGN_OR_RETURN(const auto users, UsersByVolume(*root_));
  std::vector<VolumeInfo> found;
  for (const std::string& name : names) {
    if (!IsValidVolumeName(name)) continue;
    auto volume = ReadVolume(*root_, name);
    if (volume.ok()) {
      if (const auto used = users.find(name); used != users.end()) {
        volume->containers = used->second;
      }
      found.push_back(*std::move(volume));
    } else if (volume.status().reason() != "volume_not_found") {
      return volume.status();
    }
  }
  return found;
}

Status Volumes::Remove(std::string_view name) const {
  MBX_RETURN_IF_ERROR(CheckName(name));
  const std::string text(name);
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockVolume(*root_, name));
  MBX_RETURN_IF_ERROR(ReadVolume(*root_, name).status());
  MBX_ASSIGN_OR_RETURN(const VolumeUsers users, FindVolumeUsers(*root_, name));
  if (!users.others.empty()) return VolumeInUse(name, users.others);
  MBX_ASSIGN_OR_RETURN(const core::RootDir volumes, root_->dir().OpenDir(kVolumes));
  MBX_ASSIGN_OR_RETURN(const core::RootDir meta, root_->dir().OpenDir(kVolumeMeta));
  // Gone at once; its content is deleted with the operation.
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("volume"));
  MBX_FAILPOINT("volume.remove");
  if (renameat(volumes.fd(), text.c_str(), operation.dir().fd(), kTree) != 0) {
    return core::SysError("renameat", core::StrCat(kVolumes, "/", name));
  }
  MBX_RETURN_IF_ERROR(core::SyncDir(volumes.fd()));
  root_->events().Emit("volume.remove", name);
  const Status removed = meta.Unlink(RecordName(name));
  return removed.sys_errno() == ENOENT ? Status() : removed;
}

StatusOr<PruneVolumesReport> Volumes::Prune(const PruneVolumesOptions& options) const {
  PruneVolumesReport report;
  DiskUsage usage;
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("volume"));
  MBX_ASSIGN_OR_RETURN(const std::vector<VolumeInfo> all, List());
  for (const VolumeInfo& volume : all) {
    if (!volume.containers.empty() || (!volume.anonymous && !options.all)) continue;
    const std::string path = core::StrCat(kVolumes, "/", volume.name);
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockVolume(*root_, volume.name));
    {
      // Who makes a container with it has leased it before, and its record follows.
      MBX_ASSIGN_OR_RETURN(const auto alone, CollectionLock::HoldAlone(*root_));
      MBX_ASSIGN_OR_RETURN(const LeaseItems leased, Leases(root_).Read());
      if (leased.volumes.contains(volume.name)) continue;
      // An unreadable record might name it.
      MBX_RETURN_IF_ERROR(PinnedManifests(*root_).status());
      MBX_ASSIGN_OR_RETURN(const auto users, UsersByVolume(*root_));
      if (users.contains(volume.name)) continue;
      if (!options.dry_run) {
        MBX_FAILPOINT("volume.prune");
        const std::string aside = std::to_string(report.removed.size());
        if (renameat(root_->dir().fd(), path.c_str(), operation.dir().fd(), aside.c_str()) != 0) {
          if (errno == ENOENT) continue;
          return core::SysError("renameat", path);
        }
      }
    }
    if (!options.dry_run) {
      MBX_ASSIGN_OR_RETURN(const core::RootDir meta, root_->dir().OpenDir(kVolumeMeta));
      const Status removed = meta.Unlink(RecordName(volume.name));
      if (!removed.ok() && removed.sys_errno() != ENOENT) return removed;
      usage.Add(operation.dir(), std::to_string(report.removed.size()));
    } else {
      usage.Add(root_->dir(), path);
    }
    if (!options.dry_run) root_->events().Emit("volume.remove", volume.name, volume.labels);
    report.removed.push_back(volume.name);
  }
  if (!options.dry_run && !report.removed.empty()) {
    MBX_ASSIGN_OR_RETURN(const core::RootDir volumes, root_->dir().OpenDir(kVolumes));
    MBX_RETURN_IF_ERROR(core::SyncDir(volumes.fd()));
  }
  report.bytes_freed = usage.total();
  if (!options.dry_run) {
    root_->events().Emit("volume.prune", "",
                         {{"volumes_removed", std::to_string(report.removed.size())},
                          {"bytes_freed", std::to_string(report.bytes_freed)}});
  }
  return report;
}

StatusOr<core::Fd> Volumes::Open(std::string_view name) const {
  MBX_RETURN_IF_ERROR(CheckName(name));
  auto fd = root_->dir().OpenNoFollow(core::StrCat(kVolumes, "/", name), O_PATH | O_DIRECTORY);
  if (fd.status().sys_errno() == ENOENT) return NotFound(name);
  return fd;
}

}  // namespace minibox::store
