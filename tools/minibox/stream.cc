// SPDX-License-Identifier: Apache-2.0
#include "stream.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>

#include "raw_terminal.h"
#include "wire/frames.h"
#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::Frame;
using wire::FrameType;

constexpr size_t kPiece = 32 << 10;
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

std::optional<TerminalSize> SizeOfTerminal() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    winsize size{};
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) {
      return TerminalSize{size.ws_row, size.ws_col};
    }
  }
  return std::nullopt;
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      pollfd polled{.fd = fd, .events = POLLOUT, .revents = 0};
      (void)poll(&polled, 1, -1);
      continue;
    }
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// Signals as a descriptor, for as long as it lives.
class Signals {
 public:
  Signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : kForwarded) sigaddset(&set, signal);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_BLOCK, &set, &before_);
    fd_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  ~Signals() {
    if (fd_ >= 0) close(fd_);
    sigprocmask(SIG_SETMASK, &before_, nullptr);
  }
  int fd() const { return fd_; }
  // 0: none.
  int Next() const {
    signalfd_siginfo info;
    return read(fd_, &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_;
  int fd_ = -1;
};

class Carrier {
 public:
  Carrier(Session& session, StreamConnection& stream, const StreamOptions& options)
      : session_(session), stream_(stream), options_(options), reading_(options.input) {}

  StreamEnd Run() {
    const Signals signals;
    std::optional<RawTerminal> raw;
    if (options_.terminal && options_.input) raw.emplace(STDIN_FILENO);
    SendSize();
    while (!end_.code && !end_.detached && !broken_) Step(signals);
    raw.reset();  // before anything is shown
    if (!error_.empty()) session_.terminal().Error(error_);
    if (broken_) session_.terminal().Error(why_);
    return end_;
  }

 private:
  void Step(const Signals& signals) {
    const bool full = !outgoing_.empty();
    pollfd polled[] = {
        {.fd = stream_.fd(),
         .events = static_cast<short>(POLLIN | (full ? POLLOUT : 0)),
         .revents = 0},
        {.fd = reading_ && !full ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0},
        {.fd = signals.fd(), .events = POLLIN, .revents = 0}};
    if (poll(polled, 3, -1) < 0) return;
    if (polled[2].revents != 0) TakeSignals(signals);
    if (polled[1].revents != 0) TakeInput();
    Flush();
    if (polled[0].revents != 0) TakeFrames();
  }

  void Break(std::string why) {
    broken_ = true;
    why_ = std::move(why);
  }

  void Flush() {
    while (!outgoing_.empty() && !broken_) {
      const auto sent = stream_.Send(outgoing_);
      // What it said last may still be there to read.
      if (!sent.ok()) outgoing_.clear();
      if (!sent.ok() || *sent == 0) return;
      outgoing_.erase(0, *sent);
    }
  }

  void SendSize() {
    if (!options_.terminal) return;
    if (const auto size = SizeOfTerminal()) outgoing_ += wire::EncodeResize(*size);
  }

  void TakeSignals(const Signals& signals) {
    while (const int signal = signals.Next()) {
      if (signal == SIGWINCH) {
        SendSize();
      } else {
        outgoing_ += wire::EncodeSignal(signal);
      }
    }
  }

  void TakeInput() {
    char buffer[kPiece];
    const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) {
      reading_ = false;
      outgoing_ += wire::EncodeFrame(FrameType::kStdinEnd);
      return;
    }
    const std::string bytes = WithoutKeys({buffer, static_cast<size_t>(count)});
    if (!bytes.empty()) outgoing_ += wire::EncodeFrame(FrameType::kStdin, bytes);
  }

  // What is left of the input once the detach keys are taken out. A beginning of them is held back.
  std::string WithoutKeys(std::string_view bytes) {
    const std::string& keys = options_.detach_keys;
    if (!options_.terminal || keys.empty()) return std::string(bytes);
    std::string out;
    for (const char c : bytes) {
      held_ += c;
      // As much of it as is still a beginning of the keys stays.
      size_t give = 0;
      while (give < held_.size() && !keys.starts_with(std::string_view(held_).substr(give))) ++give;
      out += held_.substr(0, give);
      held_.erase(0, give);
      if (held_ != keys) continue;
      end_.detached = true;
      return out;
    }
    return out;
  }

  void TakeFrames() {
    char buffer[kPiece];
    const auto count = stream_.Receive(buffer, sizeof buffer);
    if (!count.ok()) return Break(count.status().message());
    if (!*count) return;
    if (**count == 0) return Break("the daemon did not report how the process ended");
    frames_.Add({buffer, **count});
    while (!end_.code && !broken_) {
      auto frame = frames_.Next();
      if (!frame.ok()) return Break(frame.status().message());
      if (!*frame) return;
      Obey(**frame);
    }
  }

  void Obey(const Frame& frame) {
    if (frame.Is(FrameType::kStdout) || frame.Is(FrameType::kStderr)) {
      const int fd = frame.Is(FrameType::kStdout) ? STDOUT_FILENO : STDERR_FILENO;
      if (!WriteAll(fd, frame.payload)) Break("cannot write the output");
    } else if (frame.Is(FrameType::kError)) {
      error_ = frame.payload;
    } else if (frame.Is(FrameType::kExit)) {
      const auto code = wire::DecodeExit(frame);
      if (!code) return Break("malformed exit frame");
      // Nobody could observe the end: that is the engine's failure.
      end_.code = *code < 0 || *code > 255 ? kEngineFailure : *code;
    }
  }

  Session& session_;
  StreamConnection& stream_;
  const StreamOptions& options_;
  bool reading_;
  bool broken_ = false;
  std::string why_, error_;
  std::string outgoing_, held_;
  wire::FrameReader frames_;
  StreamEnd end_;
};

}  // namespace

StreamEnd CarryStream(Session& session, StreamConnection& stream, const StreamOptions& options) {
  return Carrier(session, stream, options).Run();
}

bool ParseDetachKeys(std::string_view text, std::string* keys) {
  keys->clear();
  constexpr std::string_view kControl = "ctrl-";
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view key = text.substr(0, comma);
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
    const bool control = wire::AsciiLower(key).starts_with(kControl);
    if (control) key.remove_prefix(kControl.size());
    if (key.size() != 1) return false;
    char c = key[0];
    if (control) {
      if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
      if (c < '@' || c > '_') return false;
      c = static_cast<char>(c - '@');
    }
    *keys += c;
  }
  return true;
}

Query SizeQuery(bool wanted) {
  const auto size = wanted ? SizeOfTerminal() : std::nullopt;
  if (!size) return {};
  return {{"rows", std::to_string(size->rows)}, {"cols", std::to_string(size->cols)}};
}

}  // namespace minibox::cli
