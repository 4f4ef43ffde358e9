// SPDX-License-Identifier: Apache-2.0
#include "init/fill_volume.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/held.h"
#include "init/resolve.h"

namespace minibox::init {
namespace {

constexpr int kMaxDepth = 256;
constexpr size_t kBuffer = 64 * 1024;
constexpr size_t kMaxAttributeNames = 64 * 1024, kMaxAttribute = 64 * 1024;  // the kernel's limits

// The entries of a directory but "." and "..".
class Entries {
 public:
  explicit Entries(int dir) {
    const int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    stream_ = copy < 0 ? nullptr : fdopendir(copy);
    if (stream_ == nullptr && copy >= 0) close(copy);
  }
  ~Entries() {
    if (stream_ != nullptr) closedir(stream_);
  }
  Entries(const Entries&) = delete;
  Entries& operator=(const Entries&) = delete;
  bool ok() const { return stream_ != nullptr; }
  // nullptr at the end (errno 0) or on failure.
  const char* Next() {
    while (true) {
      errno = 0;
      const dirent* entry = readdir(stream_);
      if (entry == nullptr) return nullptr;
      if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
        return entry->d_name;
      }
    }
  }

 private:
  DIR* stream_;
};

int OpenDirectory(int dir, const char* name) {
  return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

class VolumeFiller {
 public:
  // All return false with errno.
  // Everything is copied below the mark first; while that exists the volume is not filled,
  // whatever else is in it.
  bool Fill(int source, int volume);
  bool RemoveContents(int dir, int depth = 0);

 private:
  bool CopyContents(int source, int target, int depth);
  bool CopyEntry(int source, int target, const char* name, int depth);
  bool CopyFile(int source, int target, const char* name, const struct stat& status);
  bool CopyLink(int source, int target, const char* name);
  bool CopyBytes(int from, int to);
  bool CopyAttributes(int from, int to);
  // Owner, mode, attributes, times, in the order in which none undoes another.
  bool CopyMetadata(int from, int to, const struct stat& status);

  char buffer_[kBuffer];
  char names_[kMaxAttributeNames];
};

bool VolumeFiller::CopyBytes(int from, int to) {
  while (true) {
    const ssize_t size = read(from, buffer_, sizeof buffer_);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size == 0;
    for (ssize_t done = 0; done < size;) {
      const ssize_t written = write(to, buffer_ + done, static_cast<size_t>(size - done));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      done += written;
    }
  }
}

bool VolumeFiller::CopyAttributes(int from, int to) {
  static_assert(kMaxAttribute <= kBuffer);
  const ssize_t size = flistxattr(from, names_, sizeof names_);
  if (size < 0) return errno == ENOTSUP;
  for (const char* name = names_; name < names_ + size; name += strlen(name) + 1) {
    const ssize_t value = fgetxattr(from, name, buffer_, sizeof buffer_);
    if (value < 0) return false;
    // What the volume's file system cannot hold is left out, labels of the host among it.
    if (fsetxattr(to, name, buffer_, static_cast<size_t>(value), 0) != 0 && errno != ENOTSUP) {
      return false;
    }
  }
  return true;
}

bool VolumeFiller::CopyMetadata(int from, int to, const struct stat& status) {
  const timespec times[] = {status.st_atim, status.st_mtim};
  return fchown(to, status.st_uid, status.st_gid) == 0 && fchmod(to, status.st_mode & 07777) == 0 &&
         CopyAttributes(from, to) && futimens(to, times) == 0;
}

bool VolumeFiller::CopyFile(int source, int target, const char* name, const struct stat& status) {
  const Held from(openat(source, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  const Held to(openat(target, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  return from.valid() && to.valid() && CopyBytes(from.get(), to.get()) &&
         CopyMetadata(from.get(), to.get(), status);
}

bool VolumeFiller::CopyLink(int source, int target, const char* name) {
  const ssize_t size = readlinkat(source, name, buffer_, PATH_MAX - 1);
  if (size < 0) return false;
  buffer_[size] = '\0';
  return symlinkat(buffer_, target, name) == 0;
}

bool VolumeFiller::CopyEntry(int source, int target, const char* name, int depth) {
  struct stat status;
  if (fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return CopyFile(source, target, name, status);
    case S_IFDIR: {
      const Held from(OpenDirectory(source, name));
      if (!from.valid() || mkdirat(target, name, 0700) != 0) return false;
      const Held to(OpenDirectory(target, name));
      return to.valid() && CopyContents(from.get(), to.get(), depth + 1) &&
             CopyMetadata(from.get(), to.get(), status);
    }
    case S_IFLNK:
      if (!CopyLink(source, target, name)) return false;
      break;
    case S_IFSOCK:
      return true;  // nobody listens
    default:
      // Nodes of devices cannot be made in a user namespace, nor would they work there.
      if (mknodat(target, name, status.st_mode, status.st_rdev) != 0) return errno == EPERM;
      if (fchmodat(target, name, status.st_mode & 07777, 0) != 0) return false;
  }
  const timespec times[] = {status.st_atim, status.st_mtim};
  return fchownat(target, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) == 0 &&
         utimensat(target, name, times, AT_SYMLINK_NOFOLLOW) == 0;
}

bool VolumeFiller::CopyContents(int source, int target, int depth) {
  if (depth > kMaxDepth) {
    errno = ENAMETOOLONG;
    return false;
  }
  Entries entries(source);
  if (!entries.ok()) return false;
  while (const char* name = entries.Next()) {
    if (!CopyEntry(source, target, name, depth)) return false;
  }
  return errno == 0;
}

bool VolumeFiller::RemoveContents(int dir, int depth) {
  if (depth > kMaxDepth) {
    errno = ENAMETOOLONG;
    return false;
  }
  Entries entries(dir);
  if (!entries.ok()) return false;
  while (const char* name = entries.Next()) {
    // The mark goes last.
    if (depth == 0 && strcmp(name, kFillingMark) == 0) continue;
    if (unlinkat(dir, name, 0) == 0) continue;
    if (errno != EISDIR && errno != EPERM) return false;
    const Held below(OpenDirectory(dir, name));
    if (!below.valid() || !RemoveContents(below.get(), depth + 1) ||
        unlinkat(dir, name, AT_REMOVEDIR) != 0) {
      return false;
    }
  }
  return errno == 0;
}

bool VolumeFiller::Fill(int source, int volume) {
  if (mkdirat(volume, kFillingMark, 0700) != 0 && errno != EEXIST) return false;
  const Held staging(OpenDirectory(volume, kFillingMark));
  struct stat status;
  if (!staging.valid() || fstat(source, &status) != 0) return false;
  // What a crash has left, here and already renamed.
  if (!RemoveContents(volume) || !RemoveContents(staging.get(), 1)) return false;
  if (!CopyContents(source, staging.get(), 0) || syncfs(volume) != 0) return false;
  Entries entries(staging.get());
  if (!entries.ok()) return false;
  while (const char* name = entries.Next()) {
    if (renameat(staging.get(), name, volume, name) != 0) return false;
  }
  if (errno != 0) return false;
  return fsync(volume) == 0 && unlinkat(volume, kFillingMark, AT_REMOVEDIR) == 0 &&
         CopyMetadata(source, volume, status) && fsync(volume) == 0;
}

// Empty, or half-filled by somebody who was killed.
bool NeedsFilling(int volume, bool* needs) {
  Entries entries(volume);
  if (!entries.ok()) return false;
  *needs = true;
  while (const char* name = entries.Next()) {
    if (strcmp(name, kFillingMark) == 0) {
      *needs = true;
      return true;
    }
    *needs = false;
  }
  return errno == 0;
}

}  // namespace

bool FillVolume(int root, const char* target, int volume, Failure& failure) {
  const Held source(OpenInRoot(root, target, O_RDONLY | O_DIRECTORY));
  // Nothing to fill it with; if it is no directory, mounting says so.
  if (!source.valid() && (errno == ENOENT || errno == ENOTDIR)) return true;
  const Held dir(openat(volume, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  bool needs = false;
  // The lock goes with the descriptor.
  if (!source.valid() || !dir.valid() || flock(dir.get(), LOCK_EX) != 0 ||
      !NeedsFilling(dir.get(), &needs)) {
    return Fail(failure, "fill the volume at", target);
  }
  if (!needs) return true;
  VolumeFiller filler;
  return filler.Fill(source.get(), dir.get()) || Fail(failure, "fill the volume at", target);
}

}  // namespace minibox::init
