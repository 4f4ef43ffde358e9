// SPDX-License-Identifier: Apache-2.0
#include "runtime/init_messages.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>

#include "core/errors.h"
#include "core/strings.h"
#include "runtime/start_failure.h"

namespace minibox::runtime {

StatusOr<SocketPair> MakeSocketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) {
    return core::SysError("socketpair", "");
  }
  return SocketPair{core::Fd(fds[0]), core::Fd(fds[1])};
}

Status SendLaunch(int control, init::Message type, std::string_view bytes,
                  const std::vector<int>& fds) {
  const init::LaunchHeader header{.version = init::kProtocolVersion,
                                  .bytes = static_cast<uint32_t>(bytes.size()),
                                  .fds = static_cast<uint32_t>(fds.size()),
                                  .reserved = 0};
  size_t bytes_sent = 0, fds_sent = 0;
  bool first = true;
  while (first || bytes_sent < bytes.size() || fds_sent < fds.size()) {
    const size_t header_size = first ? sizeof header : 0;
    const size_t size = std::min(bytes.size() - bytes_sent, init::kMaxPayload - header_size);
    const size_t count = std::min<size_t>(fds.size() - fds_sent, init::kMaxFdsPerMessage);
    if (!init::SendMessage(control, type, &header, header_size, bytes.data() + bytes_sent, size,
                           fds.data() + fds_sent, static_cast<uint32_t>(count))) {
      if (errno == EPIPE) break;
      return core::SysError("sendmsg", "minibox-init");
    }
    first = false;
    bytes_sent += size;
    fds_sent += count;
  }
  return Status();
}

Status FailureIn(const init::Packet& packet) {
  const auto* failure = packet.As<init::Failure>();
  if (failure == nullptr) return core::Internal("malformed answer of minibox-init");
  std::string message(TextOf(failure->message, sizeof failure->message));
  if (failure->error != 0) {
    message.append(": ").append(std::generic_category().message(failure->error));
  }
  const std::string_view field = TextOf(failure->field, sizeof failure->field);
  switch (failure->kind) {
    case init::FailureKind::kInvalidArgument:
      return core::Error(StatusCode::kInvalidArgument, "invalid_argument", std::move(message))
          .WithField(field);
    case init::FailureKind::kUnsupported:
      return core::Error(StatusCode::kInternal, "unsupported_by_host", std::move(message))
          .WithField(field);
    case init::FailureKind::kCommandNotFound:
      return core::Error(StatusCode::kInvalidArgument, "command_not_found", std::move(message))
          .WithField(field);
    case init::FailureKind::kCommandNotExecutable:
      return core::Error(StatusCode::kInvalidArgument, "command_not_executable", std::move(message))
          .WithField(field);
    case init::FailureKind::kStartFailed:
      break;
  }
  if (failure->error == ENOSPC || failure->error == EDQUOT) {
    return core::Error(StatusCode::kResourceExhausted, "no_space", std::move(message));
  }
  if (failure->error == EPERM) {
    return AsStartFailure(
        core::Error(StatusCode::kPermissionDenied, "", std::move(message)).WithField(field));
  }
  return core::Error(StatusCode::kInternal, "start_failed", std::move(message)).WithField(field);
}

Status UnexpectedEnd(const StatusOr<core::WaitResult>& result) {
  std::string message = "minibox-init ended unexpectedly";
  if (result.ok() && result->signal != 0) {
    message.append(": killed by signal ").append(core::SignalName(result->signal));
  }
  return core::Error(StatusCode::kInternal, "start_failed", std::move(message));
}

std::string_view TextOf(const char* text, size_t capacity) {
  return {text, strnlen(text, capacity)};
}

}  // namespace minibox::runtime
