// SPDX-License-Identifier: Apache-2.0
#include "runtime/stdin_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>

#include "core/errors.h"
#include "core/status_macros.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {
namespace {

constexpr char kEndOfFile = 4;  // ctrl-d, unless the terminal says otherwise

Status Ended() {
  return core::FailedPrecondition("container_not_running",
                                  "the process has ended or does not read its stdin any more");
}

// write(2) that leaves the host program's SIGPIPE alone, whatever it does with that.
ssize_t WriteQuietly(int fd, std::string_view bytes) {
  sigset_t pipe, before, pending;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  sigpending(&pending);
  const bool was_pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const ssize_t written = write(fd, bytes.data(), bytes.size());
  const int error = errno;
  if (written < 0 && error == EPIPE && !was_pending) {
    const timespec now{};
    while (sigtimedwait(&pipe, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

}  // namespace

StatusOr<std::unique_ptr<StdinWriter>> StdinWriter::Create(core::Fd fd, bool terminal) {
  if (fd.valid() && fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) {
    return core::SysError("fcntl", "stdin");
  }
  core::Fd ended(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!ended.valid()) return core::SysError("eventfd", "");
  return std::unique_ptr<StdinWriter>(new StdinWriter(std::move(fd), std::move(ended), terminal));
}

Status StdinWriter::WriteLocked(std::string_view bytes, const std::stop_token& stop) {
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  while (!bytes.empty()) {
    if (!fd_.valid()) return Ended();
    const ssize_t written = WriteQuietly(fd_.get(), bytes);
    if (written > 0) {
      mid_line_ = bytes[static_cast<size_t>(written) - 1] != '\n';
      bytes.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno != EAGAIN) return Ended();
    pollfd polled[] = {{.fd = fd_.get(), .events = POLLOUT, .revents = 0},
                       {.fd = ended_.get(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event.fd(), .events = POLLIN, .revents = 0}};
    if (poll(polled, 3, -1) < 0 && errno != EINTR) return core::SysError("poll", "stdin");
    if (polled[1].revents != 0) return Ended();
    if (polled[2].revents != 0) return core::Cancelled("writing to stdin");
  }
  return Status();
}

Status StdinWriter::Write(std::string_view bytes, const std::stop_token& stop) {
  const absl::MutexLock lock(&mutex_);
  return WriteLocked(bytes, stop);
}

Status StdinWriter::Close() {
  const absl::MutexLock lock(&mutex_);
  if (!fd_.valid()) return Ended();
  if (!terminal_) {
    fd_.reset();
    return Status();
  }
  termios mode{};
  const bool known = tcgetattr(fd_.get(), &mode) == 0;
  const char end = known ? static_cast<char>(mode.c_cc[VEOF]) : kEndOfFile;
  const bool twice = mid_line_ && known && (mode.c_lflag & ICANON) != 0;
  const char ends[] = {end, end};
  MBX_RETURN_IF_ERROR(WriteLocked({ends, twice ? 2u : 1u}, {}));
  mid_line_ = false;
  return Status();
}

void StdinWriter::End() { (void)eventfd_write(ended_.get(), 1); }

}  // namespace minibox::runtime
