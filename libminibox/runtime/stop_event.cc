// SPDX-License-Identifier: Apache-2.0
#include "runtime/stop_event.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <cerrno>

#include "core/errors.h"

namespace minibox::runtime {

struct StopEvent::State {
  struct Wake {
    int event;
    void operator()() const { (void)eventfd_write(event, 1); }  // fails only at 2^64 stops
  };
  State(core::Fd fd, const std::stop_token& stop)
      : event(std::move(fd)), callback(stop, Wake{event.get()}) {}
  core::Fd event;
  std::stop_callback<Wake> callback;
};

void StopEvent::Delete::operator()(State* state) const { delete state; }

StatusOr<StopEvent> StopEvent::Create(const std::stop_token& stop) {
  StopEvent result;
  if (!stop.stop_possible()) return result;
  core::Fd event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return core::SysError("eventfd", "");
  result.state_.reset(new State(std::move(event), stop));
  return result;
}

int StopEvent::fd() const { return state_ ? state_->event.get() : -1; }

StatusOr<StopEvent::Woken> StopEvent::WaitReadable(int fd, int timeout_ms) const {
  pollfd polled[2] = {{.fd = state_ ? state_->event.get() : -1, .events = POLLIN, .revents = 0},
                      {.fd = fd, .events = POLLIN, .revents = 0}};
  int ready;
  do {
    ready = poll(polled, 2, timeout_ms);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return core::SysError("poll", "");
  if (polled[0].revents != 0) return Woken::kStopped;
  return polled[1].revents != 0 ? Woken::kReadable : Woken::kTimeout;
}

}  // namespace minibox::runtime
