// SPDX-License-Identifier: Apache-2.0
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "init/protocol.h"
#include "runtime/launcher.h"
#include "runtime/monitor_connection_impl.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {
namespace {

// From its last message to its end a monitor needs well under a millisecond; to kill its
// container first, some more.
constexpr int kReapTimeoutMs = 20, kKillTimeoutMs = 10'000;

ExitStatus ToExitStatus(const init::ExitedMessage& message) {
  return {.code = message.code,
          .signal = message.signal,
          .oom_killed = message.oom_killed != 0,
          .error = std::string(message.error, strnlen(message.error, sizeof message.error)),
          .at = TimePoint(std::chrono::duration_cast<TimePoint::duration>(
              std::chrono::nanoseconds(message.at_ns)))};
}

}  // namespace

MonitorConnection::Impl::~Impl() {
  if (!pidfd.valid()) return;
  bool ended;
  {
    const absl::MutexLock lock(&mutex);
    ended = exit.has_value() || gone;
  }
  // The end of the only connection is the end of the workload and the monitor.
  (void)shutdown(socket.get(), SHUT_RDWR);
  const int timeout = only ? kKillTimeoutMs : ended ? kReapTimeoutMs : 0;
  if (!ReapMonitor(pidfd.get(), timeout)) reaper->Add(std::move(pidfd), ended);
}

void MonitorConnection::Impl::Receive() {
  while (!gone) {
    switch (init::ReceiveMessage(socket.get(), packet, false)) {
      case init::Received::kNothing:
        return;
      case init::Received::kEnd:
      case init::Received::kError:
        gone = true;
        return;
      case init::Received::kMessage:
        break;
    }
    packet.CloseFds();
    if (packet.type != init::Message::kExited) continue;
    if (const auto* message = packet.As<init::ExitedMessage>()) exit = ToExitStatus(*message);
  }
}

MonitorConnection::MonitorConnection(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MonitorConnection::MonitorConnection(MonitorConnection&&) noexcept = default;
MonitorConnection& MonitorConnection::operator=(MonitorConnection&&) noexcept = default;
MonitorConnection::~MonitorConnection() = default;

int MonitorConnection::fd() const { return impl_->socket.get(); }

StatusOr<std::optional<ExitStatus>> MonitorConnection::PollExit() {
  const absl::MutexLock lock(&impl_->mutex);
  if (!impl_->exit) impl_->Receive();
  if (impl_->exit) return impl_->exit;
  if (!impl_->gone) return std::optional<ExitStatus>();
  return core::Error(StatusCode::kUnavailable, "", "the container's monitor is gone");
}

StatusOr<ExitStatus> MonitorConnection::WaitExit(std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(StopEvent stop_event, StopEvent::Create(stop));
  while (true) {
    MBX_ASSIGN_OR_RETURN(const std::optional<ExitStatus> exit, PollExit());
    if (exit) return *exit;
    MBX_ASSIGN_OR_RETURN(const StopEvent::Woken woken, stop_event.WaitReadable(fd()));
    if (woken == StopEvent::Woken::kStopped) return core::Cancelled("waiting for the exit");
  }
}

Status MonitorConnection::Signal(int signal) {
  if (signal < 1 || signal > SIGRTMAX) {
    return core::InvalidArgument("signal", core::StrCat("no such signal: ", signal));
  }
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (!impl_->exit) impl_->Receive();
    if (impl_->exit) {
      return core::FailedPrecondition("container_not_running", "the workload has ended");
    }
  }
  const init::SignalMessage message{signal};
  if (init::SendMessage(impl_->socket.get(), init::Message::kSignal, &message, sizeof message,
                        nullptr, 0, nullptr, 0, false)) {
    return Status();
  }
  return core::Error(
      StatusCode::kUnavailable, "",
      core::StrCat("the container's monitor does not take signals: ", std::strerror(errno)));
}

namespace {

// Waits for room, which a monitor whose workload does not read has none of.
Status SendWaiting(int socket, init::Message type, const void* payload, size_t size,
                   const std::stop_token& stop) {
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  while (!init::SendMessage(socket, type, payload, size, nullptr, 0, nullptr, 0, false)) {
    if (errno != EAGAIN && errno != ENOBUFS) {
      return core::FailedPrecondition("container_not_running", "the workload has ended");
    }
    pollfd polled[] = {{.fd = socket, .events = POLLOUT, .revents = 0},
                       {.fd = stop_event.fd(), .events = POLLIN, .revents = 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) return core::SysError("poll", "monitor.sock");
    if (polled[1].revents != 0) return core::Cancelled("writing to stdin");
  }
  return Status();
}

}  // namespace

Status MonitorConnection::Input(std::string_view bytes, const std::stop_token& stop) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, init::kMaxPayload);
    MBX_RETURN_IF_ERROR(
        SendWaiting(impl_->socket.get(), init::Message::kInput, piece.data(), piece.size(), stop));
    bytes.remove_prefix(piece.size());
  }
  return Status();
}

Status MonitorConnection::InputEnd(const std::stop_token& stop) {
  return SendWaiting(impl_->socket.get(), init::Message::kInputEnd, nullptr, 0, stop);
}

Status MonitorConnection::Resize(TerminalSize size, const std::stop_token& stop) {
  const init::ResizeMessage message{size.rows, size.cols};
  return SendWaiting(impl_->socket.get(), init::Message::kResize, &message, sizeof message, stop);
}

StatusOr<MonitorConnection> ConnectMonitor(int run_dir) {
  core::Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return core::SysError("socket", "monitor.sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // By way of the descriptor: the real path may be longer than an address.
  const std::string path = core::StrCat("/proc/self/fd/", run_dir, "/", init::kMonitorSocket);
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  int result;
  do {
    result = connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  } while (result != 0 && errno == EINTR);
  if (result == 0) {
    return MonitorConnection(std::make_unique<MonitorConnection::Impl>(std::move(socket)));
  }
  if (errno == ENOENT) return core::NotFound("", "no monitor listens");
  if (errno == ECONNREFUSED) {
    return core::Error(StatusCode::kUnavailable, "", "the container's monitor is gone");
  }
  return core::SysError("connect", init::kMonitorSocket);
}

}  // namespace minibox::runtime
