// SPDX-License-Identifier: Apache-2.0
#include "runtime/health_monitor.h"

#include <set>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/thread_pool.h"

namespace minibox::runtime {
namespace {

// Probes that may hang until their time is up, before others have to wait for
// them.
constexpr int kThreads = 16;

using Key = std::tuple<ContainerId, pid_t, uint64_t>;

}  // namespace

struct HealthMonitor::Impl : std::enable_shared_from_this<Impl> {
  Impl(core::EventLoop *event_loop, ProbeFn probe_fn)
      : loop(event_loop),
        probe(std::move(probe_fn)),
        pool(std::make_unique<core::ThreadPool>(kThreads)) {}

  void After(const ContainerId &id, const MonitorIdentity &run, std::chrono::milliseconds pause)
      ABSL_LOCKS_EXCLUDED(mutex) {
    const absl::MutexLock lock(&mutex);
    if (closed) return;
    // It may fire when the monitor is long gone.
    loop->AddTimer(std::chrono::steady_clock::now() + pause, [weak = weak_from_this(), id, run] {
      if (const auto self = weak.lock()) self->Submit(id, run);
    });
  }

  void Submit(const ContainerId &id, const MonitorIdentity &run) ABSL_LOCKS_EXCLUDED(mutex) {
    const absl::MutexLock lock(&mutex);
    if (closed) return;
    pool->Submit([this, id, run] { Run(id, run); });
  }

  void Run(const ContainerId &id, const MonitorIdentity &run) ABSL_LOCKS_EXCLUDED(mutex) {
    {
      const absl::MutexLock lock(&mutex);
      if (closed) return;
    }
    const auto pause = probe(id, run);
    if (pause) return After(id, run, *pause);
    const absl::MutexLock lock(&mutex);
    runs.erase({id, run.pid, run.start_time});
  }

  core::EventLoop *const loop;
  const ProbeFn probe;
  absl::Mutex mutex;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  std::set<Key> runs ABSL_GUARDED_BY(mutex);
  std::unique_ptr<core::ThreadPool> pool;  // reset by Close alone
};

HealthMonitor::HealthMonitor(core::EventLoop *loop, ProbeFn probe)
    : impl_(std::make_shared<Impl>(loop, std::move(probe))) {}

HealthMonitor::~HealthMonitor() { Close(); }

void HealthMonitor::Begin(const ContainerId &id, const MonitorIdentity &run,
                          std::chrono::milliseconds first) {
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (!impl_->runs.insert({id, run.pid, run.start_time}).second) return;
  }
  impl_->After(id, run, first);
}

void HealthMonitor::Close() {
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (std::exchange(impl_->closed, true)) return;
  }
  impl_->pool.reset();
}

}  // namespace minibox::runtime
