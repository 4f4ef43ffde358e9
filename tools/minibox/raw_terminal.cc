// SPDX-License-Identifier: Apache-2.0
#include "raw_terminal.h"

#include <signal.h>
#include <termios.h>
#include <unistd.h>

#include <cstdlib>

namespace minibox::cli {
namespace {

// What a signal handler may read.
volatile sig_atomic_t g_raw = 0;
int g_fd = -1;
termios g_before;

void Restore() {
  if (g_raw == 0) return;
  g_raw = 0;
  tcsetattr(g_fd, TCSANOW, &g_before);
}

// Signals that end a program which has gone wrong. Those that users send are forwarded.
constexpr int kFatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP, SIGPIPE};

void OnFatal(int signal) {
  Restore();
  // The action has been reset to the default.
  raise(signal);
}

}  // namespace

RawTerminal::RawTerminal(int fd) {
  termios mode{};
  if (isatty(fd) == 0 || tcgetattr(fd, &mode) != 0) return;
  g_fd = fd;
  g_before = mode;
  static const bool registered = atexit(Restore) == 0;
  (void)registered;
  for (const int signal : kFatal) {
    struct sigaction action {};
    action.sa_handler = OnFatal;
    action.sa_flags = SA_RESETHAND;
    sigaction(signal, &action, nullptr);
  }
  g_raw = 1;
  cfmakeraw(&mode);
  tcsetattr(fd, TCSANOW, &mode);
}

RawTerminal::~RawTerminal() { Restore(); }

}  // namespace minibox::cli
