// SPDX-License-Identifier: Apache-2.0
#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <string>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::core {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{1}, kLongestPause{20};

StatusOr<Fd> OpenLockFile(int dir, const std::string& name) {
  while (true) {
    const int fd = openat(dir, name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) return Fd(fd);
    if (errno != EINTR) return SysError("openat", name);
  }
}

// Whether `name` still is the file that was locked: a holder may have unlinked it.
StatusOr<bool> StillNamed(int dir, const std::string& name, int fd) {
  struct stat named {
  }, locked{};
  if (fstat(fd, &locked) != 0) return SysError("fstat", name);
  if (fstatat(dir, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return false;
    return SysError("fstatat", name);
  }
  return named.st_dev == locked.st_dev && named.st_ino == locked.st_ino;
}

// False: somebody else holds it.
StatusOr<bool> Flock(int fd, const std::string& name, int operation) {
  while (flock(fd, operation) != 0) {
    if (errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return SysError("flock", name);
  }
  return true;
}

// There is no way to wait for a flock and for something else at once: where a wait can be called
// off, the lock is tried at growing intervals, and a stop request ends the pause.
Status FlockUnlessStopped(int fd, const std::string& name, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  for (milliseconds pause = kFirstPause;; pause = std::min(pause * 2, kLongestPause)) {
    if (stop.stop_requested()) return Cancelled(StrCat("lock ", name));
    MBX_ASSIGN_OR_RETURN(const bool locked, Flock(fd, name, LOCK_EX | LOCK_NB));
    if (locked) return Status();
    stopped.wait_for(lock, stop, pause, [] { return false; });
  }
}

StatusOr<std::string> LockName(std::string_view name) {
  if (name.find('\0') != std::string_view::npos) {
    return InvalidArgument("name", "contains a NUL byte");
  }
  return std::string(name);
}

}  // namespace

StatusOr<FileLock> FileLock::Acquire(int dir, std::string_view lock_name, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const std::string name, LockName(lock_name));
  while (true) {
    MBX_ASSIGN_OR_RETURN(Fd fd, OpenLockFile(dir, name));
    if (stop.stop_possible()) {
      MBX_RETURN_IF_ERROR(FlockUnlessStopped(fd.get(), name, stop));
    } else {
      MBX_RETURN_IF_ERROR(Flock(fd.get(), name, LOCK_EX).status());
    }
    MBX_ASSIGN_OR_RETURN(const bool current, StillNamed(dir, name, fd.get()));
    if (current) return FileLock(std::move(fd));
  }
}

StatusOr<std::optional<FileLock>> FileLock::TryAcquire(int dir, std::string_view lock_name) {
  MBX_ASSIGN_OR_RETURN(const std::string name, LockName(lock_name));
  while (true) {
    MBX_ASSIGN_OR_RETURN(Fd fd, OpenLockFile(dir, name));
    MBX_ASSIGN_OR_RETURN(const bool locked, Flock(fd.get(), name, LOCK_EX | LOCK_NB));
    if (!locked) return std::optional<FileLock>();
    MBX_ASSIGN_OR_RETURN(const bool current, StillNamed(dir, name, fd.get()));
    if (current) return std::optional<FileLock>(FileLock(std::move(fd)));
  }
}

}  // namespace minibox::core
