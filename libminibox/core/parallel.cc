// SPDX-License-Identifier: Apache-2.0
#include "core/parallel.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "core/thread.h"

namespace minibox::core {
namespace {

constexpr int kMaxThreads = 8;

}  // namespace

Status ForEachIndex(size_t count, int workers, size_t grain,
                    const std::function<Status(size_t index, size_t worker)>& work) {
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  size_t failed_index = count;
  Status failure;
  const auto run = [&](size_t worker) {
    while (!failed.load(std::memory_order_relaxed)) {
      const size_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      Status status = work(index, worker);
      if (status.ok()) continue;
      failed = true;
      const std::lock_guard lock(mutex);
      if (index < failed_index) {
        failed_index = index;
        failure = std::move(status);
      }
    }
  };
  const size_t useful = grain == 0 ? count : (count + grain - 1) / grain;
  const size_t threads = std::min(static_cast<size_t>(std::max(1, workers)), useful);
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) {
    others.push_back(StartThread("mbx-worker", [&run, i] { run(i); }));
  }
  run(0);
  for (auto& thread : others) thread.join();
  return failure;
}

int WorkerThreads() {
  return std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMaxThreads);
}

}  // namespace minibox::core
