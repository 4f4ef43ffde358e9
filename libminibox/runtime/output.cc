// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "core/errors.h"
#include "core/status_macros.h"
#include "init/protocol.h"
#include "runtime/launcher.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {

Status ReadOutput(int output, const OutputFn& sink, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(StopEvent stop_event, StopEvent::Create(stop));
  std::array<char, init::kOutputChunk + 1> packet;
  while (true) {
    MBX_ASSIGN_OR_RETURN(const StopEvent::Woken woken, stop_event.WaitReadable(output));
    if (woken == StopEvent::Woken::kStopped) return core::Cancelled("reading the output");
    const ssize_t size = recv(output, packet.data(), packet.size(), MSG_DONTWAIT);
    if (size < 0) {
      if (errno == EINTR || errno == EAGAIN) continue;
      return core::SysError("recv", "captured output");
    }
    if (size == 0) return core::DataLoss("the output ended early: its monitor was killed");
    const std::string_view bytes(packet.data() + 1, static_cast<size_t>(size) - 1);
    switch (static_cast<init::OutputFrame>(packet[0])) {
      case init::OutputFrame::kStdout:
        MBX_RETURN_IF_ERROR(sink({Stream::kStdout, bytes}));
        break;
      case init::OutputFrame::kStderr:
        MBX_RETURN_IF_ERROR(sink({Stream::kStderr, bytes}));
        break;
      case init::OutputFrame::kEnd:
        return Status();
      default:
        return core::DataLoss("malformed frame of captured output");
    }
  }
}

}  // namespace minibox::runtime
