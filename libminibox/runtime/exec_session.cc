// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec_session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "runtime/stop_event.h"

namespace minibox::runtime {
namespace {

constexpr size_t kChunk = 64 * 1024;
// How long output is waited for that only descendants of a process that has ended could write.
constexpr int kQuietMs = 200;

Status MakeNonBlocking(int fd) {
  if (fd < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0) return Status();
  return core::SysError("fcntl", "stdio");
}

// One piece of output from `fd`, which becomes -1 at its end.
Status Pump(int& fd, Stream stream, std::vector<char>& buffer, const OutputFn& sink) {
  const ssize_t size = read(fd, buffer.data(), buffer.size());
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Status();
  // EIO: nobody has the terminal open any more.
  if (size < 0 && errno != EIO) return core::SysError("read", "output");
  if (size <= 0) {
    fd = -1;
    return Status();
  }
  return sink({stream, {buffer.data(), static_cast<size_t>(size)}});
}

}  // namespace

StatusOr<std::unique_ptr<ExecSession>> ExecSession::Create(std::unique_ptr<ExecProcess> process,
                                                           bool terminal, EndFn ended) {
  MBX_RETURN_IF_ERROR(MakeNonBlocking(process->out()));
  MBX_RETURN_IF_ERROR(MakeNonBlocking(process->err()));
  core::Fd input, copy;
  if (terminal) {
    input.reset(fcntl(process->out(), F_DUPFD_CLOEXEC, 0));
    copy.reset(fcntl(process->out(), F_DUPFD_CLOEXEC, 0));
    if (!input.valid() || !copy.valid()) return core::SysError("fcntl", "terminal");
  } else {
    input = process->TakeIn();
  }
  MBX_ASSIGN_OR_RETURN(auto writer, StdinWriter::Create(std::move(input), terminal));
  return std::unique_ptr<ExecSession>(
      new ExecSession(std::move(process), std::move(writer), std::move(copy), std::move(ended)));
}

ExecSession::~ExecSession() {
  input_->End();
  // The copies too: only then does its terminal hang up.
  input_.reset();
  terminal_.reset();
  process_.reset();
  TellEnd({.code = 128 + SIGKILL, .signal = SIGKILL, .at = std::chrono::system_clock::now()});
}

void ExecSession::TellEnd(const ExitStatus& exit) {
  if (ended_) std::exchange(ended_, {})(exit);
}

StatusOr<ExitStatus> ExecSession::Wait(const OutputFn& sink, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const StopEvent stop_event, StopEvent::Create(stop));
  std::vector<char> buffer(kChunk);
  int out = process_->out(), err = process_->err();
  std::optional<ExitStatus> exit;
  while (!exit || out >= 0 || err >= 0) {
    pollfd polled[] = {{.fd = out, .events = POLLIN, .revents = 0},
                       {.fd = err, .events = POLLIN, .revents = 0},
                       {.fd = exit ? -1 : process_->control(), .events = POLLIN, .revents = 0},
                       {.fd = stop_event.fd(), .events = POLLIN, .revents = 0}};
    const int ready = poll(polled, 4, exit ? kQuietMs : -1);
    if (ready < 0 && errno != EINTR) return core::SysError("poll", "output");
    if (ready == 0) break;
    if (ready < 0) continue;
    if (polled[3].revents != 0) return core::Cancelled("the exec");
    // Output first: what was written before the end is there by now.
    if (polled[0].revents != 0) MBX_RETURN_IF_ERROR(Pump(out, Stream::kStdout, buffer, sink));
    if (polled[1].revents != 0) MBX_RETURN_IF_ERROR(Pump(err, Stream::kStderr, buffer, sink));
    if (polled[2].revents == 0) continue;
    MBX_ASSIGN_OR_RETURN(exit, process_->PollExit());
    if (!exit) continue;
    input_->End();
    TellEnd(*exit);
  }
  return *exit;
}

Status ExecSession::Write(std::string_view bytes, std::stop_token stop) {
  return input_->Write(bytes, stop);
}

Status ExecSession::CloseStdin() { return input_->Close(); }

Status ExecSession::Resize(TerminalSize size) {
  if (!terminal_.valid()) {
    return core::FailedPrecondition("no_terminal", "the process has no terminal");
  }
  winsize window{};
  window.ws_row = size.rows;
  window.ws_col = size.cols;
  if (ioctl(terminal_.get(), TIOCSWINSZ, &window) != 0) {
    return core::SysError("ioctl TIOCSWINSZ", "terminal");
  }
  return Status();
}

Status ExecSession::Signal(int signal) { return process_->Signal(signal); }

}  // namespace minibox::runtime
