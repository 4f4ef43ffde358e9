// SPDX-License-Identifier: Apache-2.0
#include "core/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <deque>
#include <map>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "core/check.h"
#include "core/errors.h"
#include "core/fd.h"
#include "core/strings.h"
#include "core/thread.h"

namespace minibox::core {
namespace {

using Clock = std::chrono::steady_clock;
constexpr EventLoop::Id kWakeId = 0;
constexpr int kEventsPerWait = 64;

// What an id stands for: a watched descriptor or a timer.
struct Entry {
  int fd = -1;
  std::function<void(uint32_t)> callback;
  Clock::time_point when{};
};

}  // namespace

struct EventLoop::Impl {
  Fd epoll, wake;
  std::thread thread;

  absl::Mutex mutex;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
  Id next_id ABSL_GUARDED_BY(mutex) = kWakeId + 1;
  // Shared with the callback that runs, which may remove itself.
  absl::flat_hash_map<Id, std::shared_ptr<Entry>> entries ABSL_GUARDED_BY(mutex);
  std::multimap<Clock::time_point, Id> timers ABSL_GUARDED_BY(mutex);
  std::deque<std::function<void()>> posted ABSL_GUARDED_BY(mutex);
  Id running ABSL_GUARDED_BY(mutex) = kWakeId;

  void Wake() {
    const uint64_t one = 1;
    // Full means that a wake-up is pending already.
    (void)!write(wake.get(), &one, sizeof one);
  }

  int TimeoutMs() ABSL_LOCKS_EXCLUDED(mutex) {
    absl::MutexLock lock(&mutex);
    if (!posted.empty() || stopping) return 0;
    if (timers.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(timers.begin()->first - Clock::now()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
  }

  // Calls back without the lock, and so that Remove() can tell that it runs.
  void Call(Id id, uint32_t events, bool once) ABSL_LOCKS_EXCLUDED(mutex) {
    std::shared_ptr<Entry> entry;
    {
      absl::MutexLock lock(&mutex);
      const auto found = entries.find(id);
      if (found == entries.end() || stopping) return;
      entry = found->second;
      if (once) entries.erase(found);
      running = id;
    }
    entry->callback(events);
    {
      absl::MutexLock lock(&mutex);
      running = kWakeId;
    }
  }

  void CallDueTimers() ABSL_LOCKS_EXCLUDED(mutex) {
    // One reading of the clock: a timer that re-arms itself for now cannot starve descriptors.
    const auto now = Clock::now();
    while (true) {
      Id id = kWakeId;
      {
        absl::MutexLock lock(&mutex);
        if (timers.empty() || timers.begin()->first > now) return;
        id = timers.begin()->second;
        timers.erase(timers.begin());
      }
      Call(id, 0, /*once=*/true);
    }
  }

  void CallPosted() ABSL_LOCKS_EXCLUDED(mutex) {
    std::deque<std::function<void()>> batch;
    {
      absl::MutexLock lock(&mutex);
      batch.swap(posted);
    }
    for (auto& callback : batch) {
      {
        absl::MutexLock lock(&mutex);
        if (stopping) return;
      }
      callback();
      callback = nullptr;
    }
  }

  void Run() ABSL_LOCKS_EXCLUDED(mutex) {
    epoll_event events[kEventsPerWait];
    while (true) {
      const int count = epoll_wait(epoll.get(), events, kEventsPerWait, TimeoutMs());
      MBX_CHECK(count >= 0 || errno == EINTR);
      {
        absl::MutexLock lock(&mutex);
        if (stopping) return;
      }
      for (int i = 0; i < count; ++i) {
        if (events[i].data.u64 == kWakeId) {
          uint64_t ignored = 0;
          (void)!read(wake.get(), &ignored, sizeof ignored);
        } else {
          Call(events[i].data.u64, events[i].events, /*once=*/false);
        }
      }
      CallPosted();
      CallDueTimers();
    }
  }
};

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}

StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  std::unique_ptr<EventLoop> loop(new EventLoop);
  Impl& impl = *loop->impl_;
  impl.epoll.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!impl.epoll.valid()) return SysError("epoll_create1", "");
  impl.wake.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!impl.wake.valid()) return SysError("eventfd", "");
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeId}};
  if (epoll_ctl(impl.epoll.get(), EPOLL_CTL_ADD, impl.wake.get(), &event) != 0) {
    return SysError("epoll_ctl", "eventfd");
  }
  impl.thread = StartThread("mbx-events", [&impl] { impl.Run(); });
  return loop;
}

EventLoop::~EventLoop() {
  if (!impl_->thread.joinable()) return;
  MBX_CHECK(impl_->thread.get_id() != std::this_thread::get_id());
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->stopping = true;
  }
  impl_->Wake();
  impl_->thread.join();
}

StatusOr<EventLoop::Id> EventLoop::Add(int fd, uint32_t events,
                                       std::function<void(uint32_t)> callback) {
  absl::MutexLock lock(&impl_->mutex);
  const Id id = impl_->next_id++;
  epoll_event event{.events = events, .data = {.u64 = id}};
  if (epoll_ctl(impl_->epoll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return SysError("epoll_ctl", StrCat("descriptor ", fd));
  }
  impl_->entries[id] =
      std::make_shared<Entry>(Entry{.fd = fd, .callback = std::move(callback), .when = {}});
  return id;
}

EventLoop::Id EventLoop::AddTimer(Clock::time_point when, std::function<void()> callback) {
  auto entry = std::make_shared<Entry>(
      Entry{.fd = -1,
            .callback = [callback = std::move(callback)](uint32_t) { callback(); },
            .when = when});
  Id id = 0;
  {
    absl::MutexLock lock(&impl_->mutex);
    id = impl_->next_id++;
    impl_->entries[id] = std::move(entry);
    impl_->timers.emplace(when, id);
  }
  impl_->Wake();
  return id;
}

void EventLoop::Remove(Id id) {
  // Destroyed after the lock is released: what a callback owns may call back into the loop.
  std::shared_ptr<Entry> removed;
  absl::MutexLock lock(&impl_->mutex);
  if (const auto found = impl_->entries.find(id); found != impl_->entries.end()) {
    removed = std::move(found->second);
    impl_->entries.erase(found);
    if (removed->fd >= 0) {
      // Fails only for a descriptor that was closed against the contract.
      (void)epoll_ctl(impl_->epoll.get(), EPOLL_CTL_DEL, removed->fd, nullptr);
    } else {
      const auto [begin, end] = impl_->timers.equal_range(removed->when);
      for (auto timer = begin; timer != end; ++timer) {
        if (timer->second != id) continue;
        impl_->timers.erase(timer);
        break;
      }
    }
  }
  if (std::this_thread::get_id() == impl_->thread.get_id()) return;
  struct Waiting {
    Impl* impl;
    Id id;
  } waiting{impl_.get(), id};
  const auto finished =
      +[](Waiting* w) ABSL_NO_THREAD_SAFETY_ANALYSIS { return w->impl->running != w->id; };
  impl_->mutex.Await(absl::Condition(finished, &waiting));
}

void EventLoop::Post(std::function<void()> callback) {
  {
    absl::MutexLock lock(&impl_->mutex);
    impl_->posted.push_back(std::move(callback));
  }
  impl_->Wake();
}

}  // namespace minibox::core
