// SPDX-License-Identifier: Apache-2.0
#include "store/stoppable_fd.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::store {

StatusOr<std::shared_ptr<StoppableFd>> StoppableFd::Create(int fd, std::stop_token stop,
                                                           std::string_view what) {
  core::Fd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return core::SysError("eventfd", what);
  return std::shared_ptr<StoppableFd>(
      new StoppableFd(fd, std::move(stop), std::move(wake), std::string(what)));
}

StoppableFd::StoppableFd(int fd, std::stop_token stop, core::Fd wake, std::string what)
    : fd_(fd),
      what_(std::move(what)),
      wake_(std::move(wake)),
      stop_(stop),
      on_stop_(std::move(stop), [this] {
        const uint64_t one = 1;
        // It cannot be full: nobody else writes.
        (void)!write(wake_.get(), &one, sizeof one);
      }) {}

StatusOr<size_t> StoppableFd::Read(char* buffer, size_t size) {
  while (true) {
    if (stop_.stop_requested()) return core::Cancelled(core::StrCat("reading the ", what_));
    pollfd fds[2] = {{fd_, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    if (poll(fds, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return core::SysError("poll", what_);
    }
    if (fds[0].revents == 0) continue;
    const ssize_t count = read(fd_, buffer, size);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno != EINTR && errno != EAGAIN) return core::SysError("read", what_);
  }
}

}  // namespace minibox::store
