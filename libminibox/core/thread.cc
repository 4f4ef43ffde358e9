// SPDX-License-Identifier: Apache-2.0
#include "core/thread.h"

#include <pthread.h>
#include <signal.h>

#include <string>
#include <utility>

namespace minibox::core {

std::thread StartThread(const char* name, std::function<void()> body) {
  sigset_t all, before;
  sigfillset(&all);
  // The mask is inherited; setting it in the new thread would leave a window.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread([name = std::string(name), body = std::move(body)] {
    pthread_setname_np(pthread_self(), name.c_str());
    body();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace minibox::core
