// SPDX-License-Identifier: Apache-2.0
#include "init/reaper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/channel.h"

namespace minibox::init {
namespace {

// Meant for this process, or raised by its own faults.
constexpr int kNotForwarded[] = {SIGCHLD, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS,
                                 SIGFPE,  SIGILL,  SIGTRAP, SIGABRT, SIGSYS};

bool IsForwarded(int signal) {
  for (const int other : kNotForwarded) {
    if (signal == other) return false;
  }
  return true;
}

// The workload's pid cannot be another process's: only we reap it.
void Forward(int signals, pid_t workload) {
  signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (IsForwarded(signal)) (void)kill(workload, signal);
  }
}

[[noreturn]] void ExitWith(int status, int monitor) {
  const WorkloadExitedMessage message{status};
  (void)SendMessage(monitor, Message::kExited, &message, sizeof message);
  _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

void Reap(pid_t workload, int monitor) {
  int status;
  while (true) {
    const pid_t pid = waitpid(-1, &status, WNOHANG | __WALL);
    if (pid <= 0) return;
    if (pid == workload) ExitWith(status, monitor);
  }
}

void TakeRequest(pid_t workload, int monitor) {
  Packet packet;
  switch (ReceiveMessage(monitor, packet, false)) {
    case Received::kNothing:
      return;
    case Received::kEnd:
    case Received::kError:
      _exit(1);  // without its monitor the container ends
    case Received::kMessage:
      break;
  }
  packet.CloseFds();
  const auto* request = packet.As<SignalMessage>();
  if (packet.type == Message::kSignal && request != nullptr) (void)kill(workload, request->signal);
}

}  // namespace

void ReapUntilExit(pid_t workload, int monitor) {
  sigset_t all;
  sigfillset(&all);
  const int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) _exit(1);
  while (true) {
    // First: it may have ended before the descriptor was there.
    Reap(workload, monitor);
    pollfd polled[] = {{.fd = signals, .events = POLLIN, .revents = 0},
                       {.fd = monitor, .events = POLLIN, .revents = 0}};
    if (poll(polled, 2, -1) < 0 && errno != EINTR) _exit(1);
    if (polled[0].revents != 0) Forward(signals, workload);
    if (polled[1].revents != 0) TakeRequest(workload, monitor);
  }
}

}  // namespace minibox::init
