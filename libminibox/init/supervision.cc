// SPDX-License-Identifier: Apache-2.0
#include "init/supervision.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "init/exit_record.h"
#include "init/step_log.h"
#include "init/sys.h"
#include "init/terminal.h"

namespace minibox::init {
namespace {

constexpr uint64_t kMillisecond = 1'000'000;

// The entries of the poll set before the clients.
enum : uint32_t { kPid1Gone, kPid1Says, kOut, kErr, kIn, kCapture, kListener, kFixed };

void MakeNonBlocking(int fd) { (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

Supervision::Supervision(const LaunchInput& input, Container& container)
    : container_(container),
      init_(input.plan.init),
      record_exit_(input.plan.record_exit && input.container_dir >= 0),
      tty_(input.plan.tty),
      container_dir_(input.container_dir),
      run_dir_(input.run_dir),
      oom_events_(input.oom_events),
      freezer_(input.freezer),
      capture_(input.capture),
      deadline_ns_(input.plan.timeout_ms == 0
                       ? 0
                       : NowNs(CLOCK_MONOTONIC) + input.plan.timeout_ms * kMillisecond),
      oom_kills_before_(OomKills()) {}

bool Supervision::Begin(int control, const LaunchInput& input) {
  MakeNonBlocking(container_.out.get());
  MakeNonBlocking(container_.err.get());
  MakeNonBlocking(container_.in.get());
  control_ = control;
  held_count_ = input.plan.fds.held;
  held_ = static_cast<int*>(malloc((held_count_ + 1) * sizeof(int)));
  if (held_ == nullptr || !Reserve(1)) return false;
  memcpy(held_, input.held, held_count_ * sizeof(int));
  return container_.caller_gone || AddClient(control);
}

bool Supervision::Reserve(uint32_t clients) {
  if (clients <= client_capacity_) return true;
  const uint32_t capacity = clients + 7;
  void* more = realloc(clients_, capacity * sizeof(Client));
  if (more == nullptr) return false;
  clients_ = static_cast<Client*>(more);
  more = realloc(polled_, (kFixed + capacity) * sizeof(pollfd));
  if (more == nullptr) return false;
  polled_ = static_cast<pollfd*>(more);
  client_capacity_ = capacity;
  return true;
}

bool Supervision::AddClient(int client) {
  if (!Reserve(client_count_ + 1)) {
    close(client);
    return false;
  }
  clients_[client_count_++] = {client, nullptr};
  return true;
}

// "oom_kill <n>" of memory.events or memory.oom_control.
uint64_t Supervision::OomKills() const {
  char text[1024];
  const ssize_t size = oom_events_ < 0 ? 0 : pread(oom_events_, text, sizeof text - 1, 0);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* found = strstr(text, "oom_kill ");
  return found == nullptr ? 0 : strtoull(found + strlen("oom_kill "), nullptr, 10);
}

void Supervision::Kill() {
  killed_ = true;
  (void)sys::PidfdSendSignal(container_.pidfd.get(), SIGKILL);
  // Frozen it would not die; what is not frozen stays so.
  constexpr char kThawed[] = "THAWED";
  if (freezer_ >= 0) (void)!write(freezer_, kThawed, sizeof kThawed - 1);
}

Supervision::Pumped Supervision::Pump(Held& pipe, LogStream stream) {
  if (!pipe.valid()) return Pumped::kEnd;
  Chunk* chunk = spare_;
  spare_ = nullptr;
  if (chunk == nullptr) chunk = static_cast<Chunk*>(malloc(sizeof(Chunk)));
  if (chunk == nullptr) return Pumped::kNone;  // it stays in the pipe
  const ssize_t size = read(pipe.get(), chunk->bytes + 1, kOutputChunk);
  if (size <= 0) {
    spare_ = chunk;
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return Pumped::kNone;
    pipe.Reset();
    return Pumped::kEnd;
  }
  container_.log.Write(stream, chunk->bytes + 1, static_cast<size_t>(size));
  const auto frame = stream == LogStream::kStdout ? OutputFrame::kStdout : OutputFrame::kStderr;
  chunk->bytes[0] = static_cast<uint8_t>(frame);
  chunk->size = static_cast<uint32_t>(size) + 1;
  Queue(chunk);
  return Pumped::kSome;
}

void Supervision::Queue(Chunk* chunk) {
  if (capture_ < 0) {
    free(spare_);
    spare_ = chunk;
    return;
  }
  chunk->next = nullptr;
  (first_ == nullptr ? first_ : last_->next) = chunk;
  last_ = chunk;
}

void Supervision::FlushCapture(bool wait) {
  while (first_ != nullptr && capture_ >= 0) {
    const int flags = MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT);
    if (send(capture_, first_->bytes, first_->size, flags) < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == ENOBUFS) return;
      // Nobody reads any more; the workload goes on.
      close(capture_);
      capture_ = -1;
    }
    Chunk* sent = first_;
    first_ = sent->next;
    free(spare_);
    spare_ = sent;
  }
  while (first_ != nullptr) {
    Chunk* dropped = first_;
    first_ = dropped->next;
    free(dropped);
  }
}

void Supervision::TakeFromPid1() {
  Packet packet;
  while (container_.pid1.valid()) {
    switch (ReceiveMessage(container_.pid1.get(), packet, false)) {
      case Received::kNothing:
        return;
      case Received::kEnd:
      case Received::kError:
        container_.pid1.Reset();
        return;
      case Received::kMessage:
        break;
    }
    packet.CloseFds();
    const auto* exited = packet.As<WorkloadExitedMessage>();
    if (packet.type != Message::kExited || exited == nullptr) continue;
    has_workload_status_ = true;
    workload_status_ = exited->status;
  }
}

void Supervision::AcceptClients() {
  while (container_.listener.valid()) {
    const int client =
        accept4(container_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    // Until a client goes, if there are too many.
    accepting_ = client >= 0 || errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
    if (client < 0) return;
    const HelloMessage hello{kProtocolVersion, container_.pid};
    // A client that is gone is noticed when it is read from.
    (void)SendMessage(client, Message::kHello, &hello, sizeof hello, nullptr, 0, nullptr, 0, false);
    (void)AddClient(client);
  }
}

uint32_t Supervision::WriteInput(const uint8_t* bytes, uint32_t size) {
  uint32_t done = 0;
  while (done < size && container_.in.valid()) {
    const ssize_t written = write(container_.in.get(), bytes + done, size - done);
    if (written > 0) {
      done += static_cast<uint32_t>(written);
    } else if (written == 0 || errno == EAGAIN) {
      break;
    } else if (errno != EINTR) {
      container_.in.Reset();  // nobody reads any more
    }
  }
  if (done > 0) mid_line_ = bytes[done - 1] != '\n';
  return container_.in.valid() ? done : size;
}

void Supervision::TakeInput(Client& client, const uint8_t* bytes, uint32_t size) {
  const uint32_t done = WriteInput(bytes, size);
  if (done == size) return;
  client.waiting = static_cast<Input*>(malloc(sizeof(Input)));
  if (client.waiting == nullptr) return;  // without memory it is lost, and the container goes on
  client.waiting->size = size - done;
  client.waiting->done = 0;
  memcpy(client.waiting->bytes, bytes + done, size - done);
}

void Supervision::TakeInputEnd(Client& client) {
  if (!tty_) {
    container_.in.Reset();
    return;
  }
  // Twice in the middle of a line: the first one only hands the line over.
  termios mode{};
  const bool known = tcgetattr(container_.out.get(), &mode) == 0;
  const uint8_t end = known ? mode.c_cc[VEOF] : 4;
  const bool twice = mid_line_ && known && (mode.c_lflag & ICANON) != 0;
  const uint8_t ends[] = {end, end};
  TakeInput(client, ends, twice ? 2 : 1);
  mid_line_ = false;
}

void Supervision::FlushInputs() {
  for (uint32_t i = 0; i < client_count_; ++i) {
    Input* waiting = clients_[i].waiting;
    if (waiting == nullptr) continue;
    waiting->done += WriteInput(waiting->bytes + waiting->done, waiting->size - waiting->done);
    if (waiting->done < waiting->size && container_.in.valid()) return;
    free(waiting);
    clients_[i].waiting = nullptr;
  }
}

bool Supervision::TakeRequests(Client& client) {
  Packet packet;
  while (client.waiting == nullptr) {
    switch (ReceiveMessage(client.socket, packet, false)) {
      case Received::kNothing:
        return true;
      case Received::kEnd:
      case Received::kError:
        return false;
      case Received::kMessage:
        break;
    }
    packet.CloseFds();
    if (packet.type == Message::kAbort && client.socket == control_) {
      // The caller of the launch takes it back.
      aborted_ = true;
      Kill();
    }
    if (packet.type == Message::kInput) TakeInput(client, packet.payload, packet.size);
    if (packet.type == Message::kInputEnd) TakeInputEnd(client);
    if (const auto* size = packet.As<ResizeMessage>();
        packet.type == Message::kResize && size != nullptr && tty_) {
      (void)SetTerminalSize(container_.out.get(), size->rows, size->cols);
    }
    const auto* request = packet.As<SignalMessage>();
    if (packet.type != Message::kSignal || request == nullptr) continue;
    if (request->signal == SIGKILL) {
      Kill();
    } else if (init_) {
      (void)SendMessage(container_.pid1.get(), Message::kSignal, request, sizeof *request, nullptr,
                        0, nullptr, 0, false);
    } else {
      (void)sys::PidfdSendSignal(container_.pidfd.get(), request->signal);
    }
  }
  return true;
}

void Supervision::ReadClients() {
  // Backwards: the last takes the place of one that is gone.
  for (uint32_t i = polled_clients_; i-- > 0;) {
    if (polled_[kFixed + i].revents == 0 || TakeRequests(clients_[i])) continue;
    if (clients_[i].socket == control_) control_ = -1;
    close(clients_[i].socket);
    clients_[i] = clients_[--client_count_];
    accepting_ = true;
    // Without a socket of its own nobody can ever reach it again.
    if (run_dir_ < 0 && client_count_ == 0) Kill();
  }
}

void Supervision::WaitForEvents() {
  const bool full = first_ != nullptr;
  const auto watch = [&](uint32_t i, int fd, short events) {
    polled_[i] = {.fd = fd, .events = events, .revents = 0};
  };
  watch(kPid1Gone, container_.pidfd.get(), POLLIN);
  watch(kPid1Says, container_.pid1.get(), POLLIN);
  watch(kOut, full ? -1 : container_.out.get(), POLLIN);
  watch(kErr, full ? -1 : container_.err.get(), POLLIN);
  watch(kCapture, capture_, full ? POLLOUT : 0);
  watch(kListener, accepting_ ? container_.listener.get() : -1, POLLIN);
  bool input_waits = false;
  for (uint32_t i = 0; i < client_count_; ++i) {
    const bool waits = clients_[i].waiting != nullptr;
    watch(kFixed + i, waits ? -1 : clients_[i].socket, POLLIN);
    input_waits |= waits;
  }
  watch(kIn, input_waits ? container_.in.get() : -1, POLLOUT);
  polled_clients_ = client_count_;
  int timeout = -1;
  if (deadline_ns_ != 0 && !timed_out_) {
    const uint64_t now = NowNs(CLOCK_MONOTONIC);
    const uint64_t left = now >= deadline_ns_ ? 0 : (deadline_ns_ - now) / kMillisecond + 1;
    timeout = left > INT32_MAX ? INT32_MAX : static_cast<int>(left);
  }
  if (poll(polled_, kFixed + client_count_, timeout) >= 0) return;
  for (uint32_t i = 0; i < kFixed + client_count_; ++i) polled_[i].revents = 0;
}

void Supervision::Run() {
  while (!pid1_ended_) {
    WaitForEvents();
    if (polled_[kPid1Says].revents != 0) TakeFromPid1();
    pid1_ended_ = polled_[kPid1Gone].revents != 0;
    if (polled_[kCapture].revents & (POLLERR | POLLHUP)) {
      close(capture_);
      capture_ = -1;
    }
    FlushCapture(false);
    if (polled_[kOut].revents != 0 && first_ == nullptr) {
      (void)Pump(container_.out, LogStream::kStdout);
      FlushCapture(false);
    }
    if (polled_[kErr].revents != 0 && first_ == nullptr) {
      (void)Pump(container_.err, LogStream::kStderr);
      FlushCapture(false);
    }
    if (polled_[kIn].revents != 0) FlushInputs();
    if (polled_[kListener].revents != 0) AcceptClients();
    ReadClients();
    if (deadline_ns_ != 0 && !timed_out_ && NowNs(CLOCK_MONOTONIC) >= deadline_ns_) {
      timed_out_ = true;
      Kill();
    }
  }
  Finish();
}

ExitedMessage Supervision::ExitMessage(int pid1_status) const {
  const int status = has_workload_status_ ? workload_status_ : pid1_status;
  ExitedMessage message{};
  message.at_ns = static_cast<int64_t>(NowNs(CLOCK_REALTIME));
  message.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  message.code = message.signal != 0 ? 128 + message.signal : WEXITSTATUS(status);
  if (message.signal != SIGKILL) return message;
  if (timed_out_) memcpy(message.error, "timeout", sizeof "timeout");
  message.oom_killed = !killed_ && OomKills() > oom_kills_before_;
  return message;
}

void Supervision::Finish() {
  int status = 0;
  while (waitpid(container_.pid, &status, 0) < 0 && errno == EINTR) {
  }
  TakeFromPid1();
  const ExitedMessage message = ExitMessage(status);
  while (Pump(container_.out, LogStream::kStdout) == Pumped::kSome) {
  }
  while (Pump(container_.err, LogStream::kStderr) == Pumped::kSome) {
  }
  for (uint32_t i = 0; i < held_count_; ++i) close(held_[i]);
  // A disk that cannot take it must not keep everybody waiting: they are told all the same.
  if (record_exit_ && !aborted_) (void)RecordExit(container_dir_, message);
  if (run_dir_ >= 0) (void)unlinkat(run_dir_, kMonitorSocket, 0);
  AcceptClients();
  for (uint32_t i = 0; i < client_count_; ++i) {
    (void)SendMessage(clients_[i].socket, Message::kExited, &message, sizeof message, nullptr, 0,
                      nullptr, 0, false);
    close(clients_[i].socket);
  }
  container_.listener.Reset();
  if (aborted_) return;  // nobody is going to read
  FlushCapture(true);
  if (capture_ < 0) return;
  const auto end = static_cast<uint8_t>(OutputFrame::kEnd);
  (void)send(capture_, &end, sizeof end, MSG_NOSIGNAL);
}

}  // namespace minibox::init
