// SPDX-License-Identifier: Apache-2.0
#include "core/thread_pool.h"

#include <deque>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/check.h"
#include "core/thread.h"

namespace minibox::core {

struct ThreadPool::Impl {
  bool HasWorkOrStops() const ABSL_SHARED_LOCKS_REQUIRED(mutex) {
    return stopping || !queue.empty();
  }

  void Run() ABSL_LOCKS_EXCLUDED(mutex) {
    while (true) {
      std::function<void()> task;
      {
        absl::MutexLock lock(&mutex);
        mutex.Await(absl::Condition(this, &Impl::HasWorkOrStops));
        if (queue.empty()) return;
        task = std::move(queue.front());
        queue.pop_front();
      }
      task();
    }
  }

  absl::Mutex mutex;
  std::deque<std::function<void()>> queue ABSL_GUARDED_BY(mutex);
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  std::vector<std::thread> threads;
};

ThreadPool::ThreadPool(int threads) : impl_(std::make_unique<Impl>()) {
  MBX_CHECK(threads > 0);
  for (int i = 0; i < threads; ++i) {
    impl_->threads.push_back(StartThread("mbx-pool", [impl = impl_.get()] { impl->Run(); }));
  }
}

ThreadPool::~ThreadPool() { Close(); }

void ThreadPool::Close() {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  for (std::thread& thread : impl_->threads) thread.join();
  impl_->threads.clear();
}

void ThreadPool::Submit(std::function<void()> task) {
  absl::MutexLock lock(&impl_->mutex);
  impl_->queue.push_back(std::move(task));
}

}  // namespace minibox::core
