// SPDX-License-Identifier: Apache-2.0
#include <condition_variable>
#include <mutex>
#include <thread>

#include "compose/compose_impl.h"
#include "core/thread.h"

namespace minibox::compose {
namespace {

constexpr size_t kMaxThreads = 16;

}  // namespace

void RunTasks(size_t count, const std::function<std::vector<size_t>(size_t)>& after,
              const std::function<void(size_t)>& task) {
  std::vector<size_t> waiting_for(count);
  std::vector<std::vector<size_t>> dependents(count);
  std::vector<size_t> ready;
  for (size_t i = 0; i < count; ++i) {
    for (const size_t earlier : after(i)) {
      ++waiting_for[i];
      dependents[earlier].push_back(i);
    }
    if (waiting_for[i] == 0) ready.push_back(i);
  }
  std::mutex mutex;
  std::condition_variable changed;
  size_t ended = 0, next = 0;
  const auto work = [&] {
    std::unique_lock lock(mutex);
    while (true) {
      changed.wait(lock, [&] { return next < ready.size() || ended == count; });
      if (next == ready.size()) return;
      const size_t mine = ready[next++];
      lock.unlock();
      task(mine);
      lock.lock();
      ++ended;
      for (const size_t dependent : dependents[mine]) {
        if (--waiting_for[dependent] == 0) ready.push_back(dependent);
      }
      changed.notify_all();
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(count, kMaxThreads); ++i) {
    threads.push_back(core::StartThread("mbx-compose", work));
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace minibox::compose
