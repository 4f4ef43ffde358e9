// SPDX-License-Identifier: Apache-2.0
#include "core/root_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/errors.h"
#include "core/file.h"
#include "core/path_walk.h"
#include "core/reopen.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "core/tree_remover.h"

namespace minibox::core {
namespace {

// openat2 gives EAGAIN when anything on the host was renamed while it resolved "..". Where that
// does not end, the path is walked by us: what others rename must not make our calls fail.
constexpr int kMaxRaces = 128;

Status CheckPath(std::string_view path) {
  if (path.find('\0') != std::string_view::npos) {
    return InvalidArgument("path", StrCat("'", EscapeControl(path), "' contains a NUL byte"));
  }
  return Status();
}

// Without trailing "/" and "/.", behind which the kernel would follow a link.
std::string_view WithoutTrailing(std::string_view path) {
  while (true) {
    if (path.ends_with('/')) {
      path.remove_suffix(1);
    } else if (path.ends_with("/.")) {
      path.remove_suffix(2);
    } else {
      return path == "." ? std::string_view() : path;
    }
  }
}

bool IsMissing(const Status& status) {
  return status.sys_errno() == ENOENT || status.sys_errno() == ENOTDIR;
}

StatusOr<Fd> OpenInRoot(int root, std::string_view path, int flags, mode_t mode) {
  MBX_RETURN_IF_ERROR(CheckPath(path));
  const WalkOptions walk{.flags = flags, .mode = mode, .make_dirs = {}};
  if (!sys::HaveOpenat2()) return WalkPath(root, path, walk);
  const std::string text = path.empty() ? "." : std::string(path);
  struct open_how how {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  // openat2 refuses a mode where none is used.
  const bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  how.mode = creates ? mode & 07777 : 0;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  for (int race = 0; race < kMaxRaces; ++race) {
    const int fd = sys::Openat2(root, text.c_str(), how);
    if (fd >= 0) return Fd(fd);
    if (errno != EAGAIN) return SysError("openat2", EscapeControl(path));
  }
  return WalkPath(root, path, walk);
}

StatusOr<struct ::stat> StatOf(int fd, std::string_view path) {
  struct ::stat st {};
  if (fstat(fd, &st) != 0) return SysError("fstat", EscapeControl(path));
  return st;
}

}  // namespace

StatusOr<Fd> Reopen(int fd, int flags) {
  const std::string name = StrCat("/proc/self/fd/", fd);
  while (true) {
    const int opened = open(name.c_str(), flags | O_CLOEXEC);
    if (opened >= 0) return Fd(opened);
    if (errno != EINTR) return SysError("open", name);
  }
}

StatusOr<RootDir> RootDir::Open(std::string_view path) {
  MBX_RETURN_IF_ERROR(CheckPath(path));
  const std::string text(path);
  const int fd = open(text.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return SysError("open", path);
  return RootDir(Fd(fd));
}

StatusOr<RootDir> RootDir::Clone() const {
  const int fd = fcntl(dir_.get(), F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return SysError("fcntl", "F_DUPFD_CLOEXEC");
  return RootDir(Fd(fd));
}

StatusOr<Fd> RootDir::OpenAt(std::string_view path, int flags, mode_t mode) const {
  return OpenInRoot(dir_.get(), path, flags, mode);
}

StatusOr<Fd> RootDir::OpenNoFollow(std::string_view path, int flags, mode_t mode) const {
  return OpenInRoot(dir_.get(), WithoutTrailing(path), flags | O_NOFOLLOW, mode);
}

StatusOr<RootDir> RootDir::OpenDir(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(Fd fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  return RootDir(std::move(fd));
}

StatusOr<RootDir::Parent> RootDir::OpenParent(std::string_view path) const {
  MBX_RETURN_IF_ERROR(CheckPath(path));
  const std::string_view trimmed = WithoutTrailing(path);
  const size_t slash = trimmed.rfind('/');
  const std::string_view name =
      slash == std::string_view::npos ? trimmed : trimmed.substr(slash + 1);
  const std::string_view parent =
      slash == std::string_view::npos ? std::string_view() : trimmed.substr(0, slash + 1);
  if (name == "..") {
    return InvalidArgument("path", StrCat("'", EscapeControl(path), "' ends in '..'"));
  }
  MBX_ASSIGN_OR_RETURN(Fd dir, OpenAt(parent, O_RDONLY | O_DIRECTORY));
  return Parent{std::move(dir), name.empty() ? "." : std::string(name)};
}

StatusOr<struct ::stat> RootDir::Stat(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(const Fd fd, OpenAt(path, O_PATH));
  return StatOf(fd.get(), path);
}

StatusOr<struct ::stat> RootDir::LStat(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(const Fd fd, OpenNoFollow(path, O_PATH));
  return StatOf(fd.get(), path);
}

bool RootDir::Exists(std::string_view path) const { return LStat(path).ok(); }

StatusOr<std::string> RootDir::ReadLink(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(const Fd fd, OpenNoFollow(path, O_PATH));
  char target[PATH_MAX];
  const ssize_t size = readlinkat(fd.get(), "", target, sizeof target);
  if (size < 0) {
    // For a descriptor that is no link, the kernel says ENOENT.
    return SysError("readlinkat", EscapeControl(path), errno == ENOENT ? EINVAL : errno);
  }
  return std::string(target, static_cast<size_t>(size));
}

StatusOr<std::string> RootDir::ReadFile(std::string_view path, size_t limit) const {
  // Looked at before it is opened: opening a FIFO would hang, opening a device has effects.
  MBX_ASSIGN_OR_RETURN(const Fd entry, OpenAt(path, O_PATH));
  MBX_ASSIGN_OR_RETURN(const struct ::stat st, StatOf(entry.get(), path));
  if (S_ISDIR(st.st_mode)) return SysError("open", EscapeControl(path), EISDIR);
  if (!S_ISREG(st.st_mode)) {
    return InvalidArgument("path", StrCat("'", EscapeControl(path), "' is not a regular file"));
  }
  MBX_ASSIGN_OR_RETURN(const Fd file, Reopen(entry.get(), O_RDONLY));
  auto content = ReadAll(file.get(), limit);
  if (!content.ok()) return content.status().WithContext(EscapeControl(path));
  return content;
}

StatusOr<std::vector<std::string>> RootDir::List(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(Fd fd, OpenAt(path, O_RDONLY | O_DIRECTORY));
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return SysError("fdopendir", EscapeControl(path));
  (void)fd.release();  // the stream's
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error = errno;
  closedir(stream);
  if (error != 0) return SysError("readdir", EscapeControl(path), error);
  std::sort(names.begin(), names.end());
  return names;
}

Status RootDir::MakeDir(std::string_view path, mode_t mode) const {
  MBX_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  return MakeDirExactly(parent.dir.get(), parent.name.c_str(), mode, /*own=*/false);
}

Status RootDir::MakeDirs(std::string_view path, mode_t mode) const {
  auto existing = OpenAt(path, O_PATH | O_DIRECTORY);
  if (existing.ok()) return Status();
  if (existing.status().sys_errno() != ENOENT) return existing.status();
  return WalkPath(dir_.get(), path, {.flags = O_PATH | O_DIRECTORY, .mode = 0, .make_dirs = mode})
      .status();
}

Status RootDir::Symlink(std::string_view target, std::string_view path) const {
  MBX_RETURN_IF_ERROR(CheckPath(target));
  MBX_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  const std::string text(target);
  if (symlinkat(text.c_str(), parent.dir.get(), parent.name.c_str()) != 0) {
    return SysError("symlinkat", EscapeControl(path));
  }
  return Status();
}

Status RootDir::Unlink(std::string_view path) const {
  MBX_ASSIGN_OR_RETURN(const Parent parent, OpenParent(path));
  if (unlinkat(parent.dir.get(), parent.name.c_str(), 0) != 0) {
    return SysError("unlinkat", EscapeControl(path));
  }
  return Status();
}

Status RootDir::RemoveAll(std::string_view path) const {
  auto parent = OpenParent(path);
  if (!parent.ok()) return IsMissing(parent.status()) ? Status() : parent.status();
  if (parent->name == ".") {
    return InvalidArgument("path", "a root cannot remove itself");
  }
  return RemoveTree(parent->dir.get(), parent->name);
}

Status RootDir::Rename(std::string_view from, std::string_view to, bool replace) const {
  MBX_ASSIGN_OR_RETURN(const Parent source, OpenParent(from));
  MBX_ASSIGN_OR_RETURN(const Parent target, OpenParent(to));
  const int source_dir = source.dir.get(), target_dir = target.dir.get();
  const char *source_name = source.name.c_str(), *target_name = target.name.c_str();
  int result = -1;
  if (replace) {
    result = renameat(source_dir, source_name, target_dir, target_name);
  } else {
    result = sys::Renameat2(source_dir, source_name, target_dir, target_name, RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      // A file system without RENAME_NOREPLACE: what can be promised is a look before.
      struct ::stat st {};
      if (fstatat(target_dir, target_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return SysError("renameat", EscapeControl(to), EEXIST);
      }
      result = renameat(source_dir, source_name, target_dir, target_name);
    }
  }
  if (result != 0) {
    return SysError("renameat", StrCat(EscapeControl(from), " to ", EscapeControl(to)));
  }
  return Status();
}

}  // namespace minibox::core
