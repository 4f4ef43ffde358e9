// SPDX-License-Identifier: Apache-2.0
#include "take_over.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "params.h"
#include "wire/fields.h"
#include "wire/frames.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::ExitStatus;
using minibox::OutputChunk;
using minibox::Process;
using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::Stream;
using minibox::wire::Frame;
using minibox::wire::FrameType;
using minibox::wire::StrCat;

constexpr std::string_view kRawHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n";
constexpr size_t kPiece = 64 << 10;
constexpr int kEngineFailed = 125;

// A stop request as a descriptor.
class StopFd {
 public:
  explicit StopFd(const std::stop_token& token)
      : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), callback_(token, [this] {
          const uint64_t one = 1;
          (void)!write(fd_, &one, sizeof one);  // cannot fail: written once
        }) {}
  ~StopFd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  const int fd_;
  std::stop_callback<std::function<void()>> callback_;
};

std::string ReasonOf(const ExitStatus& exit) {
  return exit.signal == SIGKILL ? "signal: killed" : StrCat("exit status ", exit.code);
}

class Pipe {
 public:
  Pipe(Process& process, int socket, bool framed, const Conversation& conversation,
       std::stop_token peer_gone)
      : process_(process),
        socket_(socket),
        framed_(framed),
        conversation_(conversation),
        peer_gone_(std::move(peer_gone)) {}

  void Run() {
    const std::stop_callback closing(conversation_.closing, [this] { gone_.request_stop(); });
    std::thread input([this] { ReadInput(); });
    const StatusOr<ExitStatus> exit = process_.Wait(
        [this](const OutputChunk& chunk) { return SendOutput(chunk); }, gone_.get_token());
    const bool gone = gone_.stop_requested() || exit.status().code() == StatusCode::kCancelled;
    done_.request_stop();
    input.join();
    if (!gone) SendEnd(exit);
  }

 private:
  Status Send(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (ended_) return Status(StatusCode::kCancelled, "the stream has ended");
    return SendAll(socket_, bytes, framed_ ? PeerEnd::kIsGone : PeerEnd::kMayHaveSent);
  }

  Status SendOutput(const OutputChunk& chunk) {
    if (!framed_) return Send(chunk.bytes);
    return Send(minibox::wire::EncodeFrame(
        chunk.stream == Stream::kStdout ? FrameType::kStdout : FrameType::kStderr, chunk.bytes));
  }

  // The last words. Whether the client hears them is its own affair.
  void SendEnd(const StatusOr<ExitStatus>& exit) {
    if (!exit.ok()) return SendFailure(exit.status().message());
    if (framed_) {
      (void)Send(minibox::wire::EncodeExit(exit->code));
    } else if (exit->code != 0) {
      (void)Send(StrCat("\n[error] ", conversation_.failure_prefix, ReasonOf(*exit), "\n"));
    }
  }
  void SendFailure(std::string_view why) {
    if (framed_) {
      (void)Send(StrCat(minibox::wire::EncodeFrame(FrameType::kError, why),
                        minibox::wire::EncodeExit(kEngineFailed)));
    } else {
      (void)Send(StrCat("\n[error] ", conversation_.failure_prefix, why, "\n"));
    }
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }

  // Until the client has nothing more to say or the process has ended.
  void ReadInput() {
    const StopFd done(done_.get_token());
    bool more = Take(conversation_.early);
    std::string buffer(kPiece, '\0');
    while (more) {
      pollfd polled[] = {{.fd = socket_, .events = POLLIN, .revents = 0},
                         {.fd = done.get(), .events = POLLIN, .revents = 0}};
      if (poll(polled, 2, -1) < 0) continue;
      if (polled[1].revents != 0) return;
      const ssize_t size = recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
      if (size < 0 || (size == 0 && framed_)) {
        gone_.request_stop();
        return;
      }
      if (size == 0) break;
      more = Take(std::string_view(buffer).substr(0, static_cast<size_t>(size)));
    }
    if (framed_) return;
    // Half-closed: its stdin has ended, and it may still be there to read.
    if (conversation_.input) (void)process_.CloseStdin();
    pollfd polled[] = {{.fd = socket_, .events = 0, .revents = 0},
                       {.fd = done.get(), .events = POLLIN, .revents = 0}};
    while (poll(polled, 2, -1) < 0) {
    }
    if (polled[0].revents != 0) gone_.request_stop();
  }

  // False: nothing more is to be read.
  bool Take(std::string_view bytes) {
    if (!framed_) {
      WriteInput(bytes);
      return true;
    }
    frames_.Add(bytes);
    while (true) {
      auto frame = frames_.Next();
      if (!frame.ok()) return Malformed(frame.status().message());
      if (!*frame) return true;
      if (!Obey(**frame)) return false;
    }
  }

  // What is for a process that has ended meanwhile, or has no such thing, is ignored.
  bool Obey(const Frame& frame) {
    if (frame.Is(FrameType::kStdin)) {
      WriteInput(frame.payload);
    } else if (frame.Is(FrameType::kStdinEnd)) {
      if (!frame.payload.empty()) return Malformed("stdin-eof has a payload");
      if (conversation_.input) (void)process_.CloseStdin();
    } else if (frame.Is(FrameType::kResize)) {
      const auto size = minibox::wire::DecodeResize(frame);
      if (!size) return Malformed("resize is not two numbers from 1");
      (void)process_.Resize(*size);
    } else if (frame.Is(FrameType::kSignal)) {
      const auto signal = minibox::wire::DecodeSignal(frame);
      if (!signal) return Malformed("signal is not a number from 1 to 64");
      (void)process_.Signal(*signal);
    }
    return true;
  }

  bool Malformed(std::string_view why) {
    SendFailure(why);
    gone_.request_stop();
    return false;
  }

  void WriteInput(std::string_view bytes) {
    if (bytes.empty() || !conversation_.input) return;
    // A process that does not read must not keep us from noticing that the client is gone.
    std::stop_source give_up;
    const std::stop_callback on_done(done_.get_token(), [&] { give_up.request_stop(); });
    const std::stop_callback on_gone(peer_gone_, [&] { give_up.request_stop(); });
    (void)process_.Write(bytes, give_up.get_token());
  }

  Process& process_;
  const int socket_;
  const bool framed_;
  const Conversation& conversation_;
  const std::stop_token peer_gone_;  // of a framed stream
  std::stop_source gone_;            // the client is
  std::stop_source done_;            // the process has ended
  minibox::wire::FrameReader frames_;
  std::mutex mutex_;
  bool ended_ = false;
};

}  // namespace

bool WantsFrames(const RequestHead& head) {
  return head.HasToken("Connection", "upgrade") &&
         head.HasToken("Upgrade", minibox::wire::kStreamProtocol);
}

StatusOr<minibox::TerminalSize> TerminalSizeOf(Exchange& exchange) {
  minibox::TerminalSize size;
  const auto query = ParseQuery(exchange.head().query());
  if (!query) return minibox::wire::InvalidRequest("query", "malformed percent-encoding");
  std::vector<std::string> unknown;
  bool seen[2] = {};
  for (const auto& [name, value] : *query) {
    const bool rows = name == "rows";
    if (!rows && name != "cols") {
      unknown.push_back(name);
      continue;
    }
    if (std::exchange(seen[rows], true)) {
      return minibox::wire::InvalidField(name, "given more than once");
    }
    if (value.empty()) continue;
    const auto number = minibox::wire::ParseInt64(value);
    if (!number || *number < 1 || *number > 65535) {
      return minibox::wire::InvalidField(name, "must be 1 to 65535");
    }
    (rows ? size.rows : size.cols) = static_cast<uint16_t>(*number);
  }
  WarnOfUnknown(exchange, "parameter", unknown);
  return size;
}

void Converse(Exchange& exchange, Process process, Conversation conversation) {
  const bool framed = WantsFrames(exchange.head());
  auto taken = framed
                   ? exchange.TakeOver(101, exchange.SwitchingHead(minibox::wire::kStreamProtocol))
                   : exchange.TakeOver(200, kRawHead);
  if (!taken.ok()) return;  // the client is gone already
  conversation.early += taken->early;
  Pipe(process, taken->socket, framed, conversation, framed ? exchange.gone() : std::stop_token())
      .Run();
}

}  // namespace miniboxd
