// SPDX-License-Identifier: Apache-2.0
#include "interrupts.h"

#include <pthread.h>
#include <signal.h>

namespace minibox::cli {
namespace {

// SIGUSR2 tells the thread to end.
sigset_t Signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR2}) sigaddset(&set, signal);
  return set;
}

}  // namespace

Interrupts::Interrupts() {
  const sigset_t set = Signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { Run(); });
}

Interrupts::~Interrupts() {
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
  const sigset_t set = Signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void Interrupts::Run() {
  const sigset_t set = Signals();
  int signal = 0;
  while (sigwait(&set, &signal) == 0 && signal != SIGUSR2) {
    std::function<void(int)> handler;
    int count;
    {
      const std::lock_guard lock(mutex_);
      last_ = signal;
      count = ++count_;
      handler = handler_;
    }
    if (handler) handler(count);
  }
}

void Interrupts::Set(std::function<void(int)> handler) {
  const std::lock_guard lock(mutex_);
  handler_ = std::move(handler);
}

int Interrupts::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

int Interrupts::ExitCode() const {
  const std::lock_guard lock(mutex_);
  return 128 + last_;
}

}  // namespace minibox::cli
