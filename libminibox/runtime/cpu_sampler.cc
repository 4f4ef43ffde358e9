// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu_sampler.h"

#include <poll.h>

#include <algorithm>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace minibox::runtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPeriod{500}, kFirstWait{100};
// Without a question the samples of a container end.
constexpr milliseconds kInterest{5000};

}  // namespace

void CpuHistory::Add(const CpuSample& sample) {
  samples_.push_back(sample);
  while (samples_.size() > 1 && sample.at - samples_.front().at > 2 * kOldest) samples_.pop_front();
}

std::optional<CpuSample> CpuHistory::BaseFor(steady_clock::time_point now) const {
  for (auto sample = samples_.rbegin(); sample != samples_.rend(); ++sample) {
    const auto age = now - sample->at;
    if (age > kOldest) break;
    if (age >= kYoungest) return *sample;
  }
  return std::nullopt;
}

double CpuPercent(const CpuSample& from, const CpuSample& to) {
  if (to.at <= from.at || to.usec <= from.usec) return 0;
  const std::chrono::duration<double, std::micro> passed = to.at - from.at;
  return 100.0 * static_cast<double>(to.usec - from.usec) / passed.count();
}

struct CpuSampler::Impl {
  struct Watched {
    CpuHistory history;
    steady_clock::time_point asked;
  };

  ReadFn read;
  core::EventLoop* loop = nullptr;
  core::ThreadPool* pool = nullptr;
  absl::Mutex mutex;
  std::map<ContainerId, Watched> watched ABSL_GUARDED_BY(mutex);
  core::EventLoop::Id timer ABSL_GUARDED_BY(mutex) = 0;
  bool closed ABSL_GUARDED_BY(mutex) = false;

  void Arm() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    timer = loop->AddTimer(steady_clock::now() + kPeriod,
                           [this] { pool->Submit([this] { Sample(); }); });
  }

  void Sample() ABSL_LOCKS_EXCLUDED(mutex) {
    std::vector<ContainerId> ids;
    {
      const absl::MutexLock lock(&mutex);
      const auto now = steady_clock::now();
      std::erase_if(watched, [&](const auto& item) { return now - item.second.asked > kInterest; });
      for (const auto& [id, entry] : watched) ids.push_back(id);
    }
    std::vector<CpuSample> samples;
    for (const ContainerId& id : ids) samples.push_back({steady_clock::now(), read(id)});
    const absl::MutexLock lock(&mutex);
    for (size_t i = 0; i < ids.size(); ++i) {
      const auto found = watched.find(ids[i]);
      if (found != watched.end()) found->second.history.Add(samples[i]);
    }
    timer = 0;
    if (!closed && !watched.empty()) Arm();
  }
};

CpuSampler::CpuSampler(ReadFn read, core::EventLoop* loop, core::ThreadPool* pool)
    : impl_(std::make_unique<Impl>()) {
  impl_->read = std::move(read);
  impl_->loop = loop;
  impl_->pool = pool;
}

CpuSampler::~CpuSampler() { Close(); }

std::vector<CpuSample> CpuSampler::Ask(const std::vector<ContainerId>& ids) {
  std::vector<std::optional<CpuSample>> bases(ids.size());
  std::vector<size_t> missing;
  {
    const absl::MutexLock lock(&impl_->mutex);
    const auto now = steady_clock::now();
    for (size_t i = 0; i < ids.size(); ++i) {
      Impl::Watched& entry = impl_->watched[ids[i]];
      entry.asked = now;
      bases[i] = entry.history.BaseFor(now);
      if (!bases[i]) missing.push_back(i);
    }
    if (!impl_->closed && impl_->timer == 0 && !ids.empty()) impl_->Arm();
  }
  for (const size_t i : missing) bases[i] = CpuSample{steady_clock::now(), impl_->read(ids[i])};
  if (!missing.empty()) {
    {
      const absl::MutexLock lock(&impl_->mutex);
      for (const size_t i : missing) {
        const auto found = impl_->watched.find(ids[i]);
        if (found != impl_->watched.end()) found->second.history.Add(*bases[i]);
      }
    }
    (void)poll(nullptr, 0, static_cast<int>(kFirstWait.count()));  // only lets time pass
  }
  std::vector<CpuSample> result;
  for (const auto& base : bases) result.push_back(*base);
  return result;
}

void CpuSampler::Close() {
  core::EventLoop::Id timer = 0;
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (impl_->closed) return;
    impl_->closed = true;
    timer = impl_->timer;
  }
  // Without the mutex: Remove waits for a callback that runs.
  if (timer != 0) impl_->loop->Remove(timer);
}

}  // namespace minibox::runtime
