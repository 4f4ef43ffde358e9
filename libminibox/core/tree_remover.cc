// SPDX-License-Identifier: Apache-2.0
#include "core/tree_remover.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "core/errors.h"
#include "core/fd.h"
#include "core/id.h"
#include "core/root_dir.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

constexpr size_t kNamesPerPass = 4096;
constexpr int kMaxDepth = 64;

struct Entry {
  std::string name;
  bool directory;
};

class TreeRemover {
 public:
  // Empties the directory `dir` (borrowed).
  Status Empty(int dir) {
    top_ = dir;
    EmptyLevel(dir, 0);
    return first_error_;
  }

  Status Remove(int parent, const std::string& name) {
    RemoveEntry(parent, {name, false}, -1);
    return first_error_;
  }

 private:
  void Note(std::string_view call, const std::string& name, int error = 0) {
    if (error == 0) error = errno;
    if (first_error_.ok()) first_error_ = SysError(call, EscapeControl(name), error);
  }

  // Some entries of the directory; empty at the end, or after an error, which is noted.
  std::vector<Entry> SomeEntries(int dir) {
    std::vector<Entry> entries;
    const int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* stream = fd < 0 ? nullptr : fdopendir(fd);
    if (stream == nullptr) {
      // A directory that another remover has taken is empty.
      if (errno != ENOENT) Note("openat", ".");
      if (fd >= 0) close(fd);
      return entries;
    }
    errno = 0;
    while (entries.size() < kNamesPerPass) {
      const dirent* entry = readdir(stream);
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") {
        entries.push_back({std::string(name), entry->d_type == DT_DIR});
      }
    }
    if (errno != 0) Note("readdir", ".");
    closedir(stream);
    return entries;
  }

  void EmptyLevel(int dir, int depth) {
    // What cannot be removed stays in front of what has not been read yet, so a pass that removed
    // nothing is the last.
    bool progress = true;
    while (progress) {
      progress = false;
      for (const Entry& entry : SomeEntries(dir)) progress |= RemoveEntry(dir, entry, depth);
    }
  }

  // True if the entry is gone.
  bool RemoveEntry(int dir, const Entry& entry, int depth) {
    const char* name = entry.name.c_str();
    int file_error = 0;
    if (!entry.directory) {
      if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return true;
      // POSIX says EPERM for a directory, Linux EISDIR; an immutable file is EPERM too.
      file_error = errno;
      if (file_error != EISDIR && file_error != EPERM) {
        Note("unlinkat", entry.name);
        return false;
      }
    }
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno != ENOTEMPTY && errno != EEXIST) {
      Note("unlinkat", entry.name, errno == ENOTDIR ? file_error : errno);
      return false;
    }
    if (depth >= kMaxDepth) return MoveUp(dir, entry.name);
    const Fd below(openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!below.valid()) {
      if (errno == ENOENT) return true;
      Note("openat", entry.name);
      return false;
    }
    if (!MayEnter(below.get(), entry.name)) return false;
    if (depth < 0) top_ = below.get();
    EmptyLevel(below.get(), depth + 1);
    if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    Note("unlinkat", entry.name);
    return false;
  }

  // Too deep for one descriptor and stack frame per level: the top, which is emptied until
  // nothing is left, gets it.
  bool MoveUp(int dir, const std::string& name) {
    const std::string moved = StrCat(".remove-", RandomHex(16));
    if (renameat(dir, name.c_str(), top_, moved.c_str()) == 0) return true;
    Note("renameat", name);
    return false;
  }

  // False for a mount point. rmdir fails on one with EBUSY, but a bind mount of the same file
  // system looks like any directory until then.
  bool MayEnter(int dir, const std::string& name) {
    struct statx info {};
    if (statx(dir, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &info) != 0) {
      Note("statx", name);
      return false;
    }
    if ((info.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return true;
    Note("unlinkat", name, EBUSY);
    return false;
  }

  Status first_error_;
  int top_ = -1;
};

}  // namespace

Status RemoveTree(int parent, const std::string& name) {
  return TreeRemover().Remove(parent, name);
}

Status RemoveContents(int dir) { return TreeRemover().Empty(dir); }

}  // namespace minibox::core
