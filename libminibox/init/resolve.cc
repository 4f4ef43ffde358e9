// SPDX-License-Identifier: Apache-2.0
#include "init/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/sys.h"
#include "init/text.h"

namespace minibox::init {
namespace {

constexpr mode_t kDirMode = 0755;
constexpr mode_t kFileMode = 0644;
// Components to be made and links followed for one path.
constexpr int kMaxDepth = 200;

using Path = Text<PATH_MAX>;

// Splits "/a/b//c/" into "/a/b" and "c". False at the root itself, or for "." and "..", which
// always exist or cannot be made.
bool SplitLast(const char* path, Path* parent, Path* name) {
  size_t end = strlen(path);
  while (end > 0 && path[end - 1] == '/') --end;
  size_t begin = end;
  while (begin > 0 && path[begin - 1] != '/') --begin;
  name->Append(path + begin, end - begin);
  parent->Append(path, begin);
  if (begin == 0) *parent << '.';
  return end > begin && strcmp(name->c_str(), ".") != 0 && strcmp(name->c_str(), "..") != 0;
}

// The text of the link `name` in `dir`, as a path of the root.
bool ReadLink(int dir, const Path& parent, const Path& name, Path* target) {
  char text[PATH_MAX];
  const ssize_t size = readlinkat(dir, name.c_str(), text, sizeof text);
  if (size <= 0) return false;
  if (text[0] != '/') *target << parent.c_str() << '/';
  target->Append(text, static_cast<size_t>(size));
  if (target->cut()) errno = ENAMETOOLONG;
  return !target->cut();
}

int MakeAndOpen(int root, const char* path, bool directory, int depth, bool* created);

// The entry is missing, or is a link that leads nowhere yet.
int MakeEntry(int root, const char* path, bool directory, int depth, bool* created) {
  Path parent, name;
  if (!SplitLast(path, &parent, &name) || name.cut() || parent.cut()) {
    errno = ENOENT;
    return -1;
  }
  const int dir = MakeAndOpen(root, parent.c_str(), true, depth + 1, created);
  if (dir < 0) return -1;
  int result;
  if (directory) {
    result = mkdirat(dir, name.c_str(), kDirMode);
  } else {
    result =
        openat(dir, name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, kFileMode);
    if (result >= 0) close(result);
  }
  if (result >= 0) {
    if (created != nullptr) *created = true;
    result = openat(dir, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  } else if (errno == EEXIST) {
    Path target;
    if (ReadLink(dir, parent, name, &target)) {
      result = MakeAndOpen(root, target.c_str(), directory, depth + 1, created);
    }
  }
  const int error = errno;
  close(dir);
  errno = error;
  return result;
}

int MakeAndOpen(int root, const char* path, bool directory, int depth, bool* created) {
  if (depth > kMaxDepth) {
    errno = ELOOP;
    return -1;
  }
  const int fd = OpenInRoot(root, path, O_PATH | (directory ? O_DIRECTORY : 0));
  if (fd >= 0 || errno != ENOENT) return fd;
  return MakeEntry(root, path, directory, depth, created);
}

}  // namespace

int OpenInRoot(int root, const char* path, uint64_t flags, uint64_t resolve, uint64_t mode) {
  open_how how{};
  how.flags = flags;
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  return sys::OpenAt2(root, path[0] == '\0' ? "." : path, how);
}

int OpenOrMakeDir(int root, const char* path, bool* created) {
  if (created != nullptr) *created = false;
  return MakeAndOpen(root, path, true, 0, created);
}

int OpenOrMakeTarget(int root, const char* path, bool directory) {
  const int fd = OpenInRoot(root, path, O_PATH);
  if (fd >= 0 || errno != ENOENT) return fd;
  return MakeEntry(root, path, directory, 0, nullptr);
}

bool WriteFile(int dir, const char* path, const char* text) {
  const int fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const size_t size = strlen(text);
  const ssize_t written = write(fd, text, size);
  const int error = written < 0 ? errno : EIO;
  close(fd);
  errno = error;
  return written == static_cast<ssize_t>(size);
}

}  // namespace minibox::init
