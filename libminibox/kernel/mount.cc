// SPDX-License-Identifier: Apache-2.0
#include "kernel/mount.h"

#include <libmount.h>
#include <sys/mount.h>

#include <cerrno>
#include <memory>

#include "core/errors.h"
#include "core/status_macros.h"
#include "kernel/syscalls.h"

namespace minibox::kernel {
namespace {

// Mounts appear while we take the tree down; a tree that grows faster is not ours.
constexpr int kMaxPasses = 16;

std::string Text(const char* text) { return text != nullptr ? text : ""; }

bool IsAtOrBelow(std::string_view target, std::string_view path) {
  if (path == "/") return true;
  return target.starts_with(path) && (target.size() == path.size() || target[path.size()] == '/');
}

}  // namespace

StatusOr<std::vector<MountEntry>> ReadMountTable(const std::string& file) {
  struct Deleter {
    void operator()(struct libmnt_table* table) const { mnt_unref_table(table); }
    void operator()(struct libmnt_iter* iterator) const { mnt_free_iter(iterator); }
  };
  const std::unique_ptr<struct libmnt_table, Deleter> table(mnt_new_table());
  const std::unique_ptr<struct libmnt_iter, Deleter> iterator(mnt_new_iter(MNT_ITER_FORWARD));
  if (!table || !iterator) return core::SysError("mnt_new_table", file, ENOMEM);
  if (const int result = mnt_table_parse_file(table.get(), file.c_str()); result != 0) {
    return core::SysError("read mount table", file, result < 0 ? -result : EINVAL);
  }
  std::vector<MountEntry> entries;
  struct libmnt_fs* fs = nullptr;
  while (mnt_table_next_fs(table.get(), iterator.get(), &fs) == 0) {
    entries.push_back({mnt_fs_get_id(fs), mnt_fs_get_parent_id(fs), Text(mnt_fs_get_root(fs)),
                       Text(mnt_fs_get_target(fs)), Text(mnt_fs_get_fstype(fs)),
                       Text(mnt_fs_get_source(fs)), Text(mnt_fs_get_vfs_options(fs)),
                       Text(mnt_fs_get_fs_options(fs))});
  }
  return entries;
}

StatusOr<std::vector<MountEntry>> MountsBelow(std::string_view path) {
  MBX_ASSIGN_OR_RETURN(std::vector<MountEntry> entries, ReadMountTable());
  std::erase_if(entries, [&](const MountEntry& e) { return !IsAtOrBelow(e.target, path); });
  return entries;
}

Status UnmountTree(std::string_view path) {
  Status first;
  for (int pass = 0; pass < kMaxPasses; ++pass) {
    MBX_ASSIGN_OR_RETURN(const std::vector<MountEntry> entries, MountsBelow(path));
    if (entries.empty()) return first;
    bool progress = false;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (Unmount(entry->target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
        progress = true;
        // Gone with the one above it, or by another hand.
      } else if (errno != EINVAL && errno != ENOENT && first.ok()) {
        first = core::SysError("umount", entry->target);
      }
    }
    if (!progress) break;
  }
  if (first.ok()) return core::Internal("mounts remain below " + std::string(path));
  return first;
}

}  // namespace minibox::kernel
