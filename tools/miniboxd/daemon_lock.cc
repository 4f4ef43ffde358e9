// SPDX-License-Identifier: Apache-2.0
#include "daemon_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "wire/text.h"

namespace miniboxd {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::StrCat;

namespace {

// A daemon that is killed while it starts a program leaves the lock with the child until that has
// exec'd, which nobody tells us.
constexpr std::chrono::milliseconds kPatience{2000}, kStep{10};

bool LockWithin(int fd) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

Status SystemError(std::string_view call, std::string_view path) {
  return Status(StatusCode::kInternal, StrCat(call, " ", path, ": ", strerrordesc_np(errno)),
                {.sys_errno = errno, .reason = "internal"});
}

}  // namespace

StatusOr<DaemonLock> DaemonLock::Take(const std::string& data_root) {
  const std::string path = data_root + "/daemon.lock";
  DaemonLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (lock.fd_ < 0) return SystemError("open", path);
  if (!LockWithin(lock.fd_)) {
    if (errno != EWOULDBLOCK) return SystemError("flock", path);
    char holder[32] = "";
    const ssize_t size = pread(lock.fd_, holder, sizeof holder - 1, 0);
    const std::string_view pid(holder, size > 0 ? static_cast<size_t>(size) : 0);
    return Status(
        StatusCode::kFailedPrecondition,
        StrCat("another daemon (pid ", minibox::wire::TrimSpace(pid), ") uses ", data_root),
        {.reason = "daemon_running"});
  }
  const std::string pid = StrCat(getpid(), "\n");
  if (ftruncate(lock.fd_, 0) != 0 ||
      pwrite(lock.fd_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return SystemError("write", path);
  }
  return lock;
}

DaemonLock::~DaemonLock() {
  // The file stays: unlinking it would let two daemons lock two files of the same name.
  if (fd_ >= 0) close(fd_);
}

}  // namespace miniboxd
