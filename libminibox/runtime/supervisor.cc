// SPDX-License-Identifier: Apache-2.0
#include "runtime/supervisor.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/errors.h"
#include "core/fd.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

// A run, not just a container: a restart may come before the end of the last run is noticed.
using Key = std::tuple<ContainerId, pid_t, uint64_t>;

Key KeyOf(const ContainerId& id, const MonitorIdentity& run) {
  return {id, run.pid, run.start_time};
}

}  // namespace

struct Supervisor::Impl {
  struct Watched {
    MonitorConnection connection;
    core::EventLoop::Id event = 0;
  };

  core::EventLoop* loop = nullptr;
  Callbacks callbacks;
  using InotifyEvent = struct ::inotify_event;
  core::Fd inotify;
  core::EventLoop::Id inotify_watch = 0;

  absl::Mutex mutex;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  std::map<Key, Watched> runs ABSL_GUARDED_BY(mutex);

  void OnReadable(const Key& key) ABSL_LOCKS_EXCLUDED(mutex) {
    std::optional<ExitStatus> exit;
    std::optional<Watched> ended;
    {
      const absl::MutexLock lock(&mutex);
      const auto found = runs.find(key);
      if (found == runs.end()) return;
      auto polled = found->second.connection.PollExit();
      if (polled.ok() && !*polled) return;
      if (polled.ok()) exit = *polled;
      ended = std::move(found->second);
      runs.erase(found);
    }
    loop->Remove(ended->event);
    ended.reset();
    callbacks.on_exit(std::get<0>(key), {std::get<1>(key), std::get<2>(key)}, std::move(exit));
  }

  void OnInotify() {
    alignas(InotifyEvent) char buffer[8192];
    while (true) {
      const ssize_t size = read(inotify.get(), buffer, sizeof buffer);
      if (size <= 0) return;
      for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const InotifyEvent*>(buffer + at);
        at += static_cast<ssize_t>(sizeof *event + event->len);
        auto id = ContainerId::Parse(event->len > 0 ? event->name : "");
        if (id.ok()) callbacks.on_new(*id);
      }
    }
  }
};

Supervisor::Supervisor() : impl_(std::make_unique<Impl>()) {}
Supervisor::~Supervisor() { Close(); }

StatusOr<std::unique_ptr<Supervisor>> Supervisor::Create(core::EventLoop* loop,
                                                         const std::vector<int>& directories,
                                                         Callbacks callbacks) {
  std::unique_ptr<Supervisor> supervisor(new Supervisor);
  Impl& impl = *supervisor->impl_;
  impl.loop = loop;
  impl.callbacks = std::move(callbacks);
  core::Fd inotify(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify.valid()) return core::SysError("inotify_init1", "");
  for (const int directory : directories) {
    const std::string path = core::StrCat("/proc/self/fd/", directory);
    if (inotify_add_watch(inotify.get(), path.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR) < 0) {
      return core::SysError("inotify_add_watch", path);
    }
  }
  impl.inotify = std::move(inotify);
  MBX_ASSIGN_OR_RETURN(impl.inotify_watch, loop->Add(impl.inotify.get(), EPOLLIN,
                                                     [&impl](uint32_t) { impl.OnInotify(); }));
  return supervisor;
}

Status Supervisor::Watch(const ContainerId& id, const MonitorIdentity& run,
                         MonitorConnection connection) {
  const Key key = KeyOf(id, run);
  const absl::MutexLock lock(&impl_->mutex);
  if (impl_->closed || impl_->runs.contains(key)) return Status();
  const auto [place, added] = impl_->runs.emplace(key, Impl::Watched{std::move(connection)});
  auto event = impl_->loop->Add(place->second.connection.fd(), EPOLLIN,
                                [impl = impl_.get(), key](uint32_t) { impl->OnReadable(key); });
  if (!event.ok()) {
    impl_->runs.erase(place);
    return event.status();
  }
  place->second.event = *event;
  return Status();
}

bool Supervisor::IsWatched(const ContainerId& id, const MonitorIdentity& run) const {
  const absl::MutexLock lock(&impl_->mutex);
  return impl_->runs.contains(KeyOf(id, run));
}

void Supervisor::Close() {
  std::map<Key, Impl::Watched> runs;
  {
    const absl::MutexLock lock(&impl_->mutex);
    if (std::exchange(impl_->closed, true)) return;
    runs.swap(impl_->runs);
  }
  if (impl_->inotify_watch != 0) impl_->loop->Remove(impl_->inotify_watch);
  // Without the mutex: a callback that waits for it has to end first.
  for (const auto& [key, run] : runs) impl_->loop->Remove(run.event);
}

}  // namespace minibox::runtime
