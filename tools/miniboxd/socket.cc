// SPDX-License-Identifier: Apache-2.0
#include "socket.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "minibox/status.h"

namespace miniboxd {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;

Status SendAll(int socket, std::string_view bytes, PeerEnd peer_end) {
  const Status gone(StatusCode::kCancelled, "the client is gone");
  const short hangup = peer_end == PeerEnd::kIsGone ? POLLRDHUP : 0;
  while (!bytes.empty()) {
    const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
      continue;
    }
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return gone;
    pollfd ready{.fd = socket, .events = static_cast<short>(POLLOUT | hangup), .revents = 0};
    if (poll(&ready, 1, -1) < 0 && errno != EINTR) return gone;
    if ((ready.revents & (POLLERR | POLLHUP | hangup)) != 0) return gone;
  }
  return Status();
}

struct PeerWatch::Impl {
  struct Entry {
    int socket = -1;
    std::function<void()> gone;
  };

  int epoll = -1, wake = -1;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable idle;
  std::map<unsigned long, Entry> entries;  // by id, which is never used twice
  unsigned long next_id = 1;
  unsigned long running = 0;  // entry whose callback runs now

  void Run() {
    while (true) {
      epoll_event event{};
      const int count = epoll_wait(epoll, &event, 1, -1);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 || event.data.u64 == 0) return;
      std::unique_lock lock(mutex);
      const auto found = entries.find(event.data.u64);
      if (found == entries.end()) continue;
      std::function<void()> gone = std::move(found->second.gone);
      epoll_ctl(epoll, EPOLL_CTL_DEL, found->second.socket, nullptr);
      found->second.socket = -1;
      running = event.data.u64;
      lock.unlock();
      gone();
      lock.lock();
      running = 0;
      idle.notify_all();
    }
  }
};

PeerWatch::PeerWatch() : impl_(std::make_unique<Impl>()) {}

StatusOr<std::unique_ptr<PeerWatch>> PeerWatch::Create() {
  std::unique_ptr<PeerWatch> watch(new PeerWatch);
  Impl& impl = *watch->impl_;
  impl.epoll = epoll_create1(EPOLL_CLOEXEC);
  impl.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = 0}};
  if (impl.epoll < 0 || impl.wake < 0 ||
      epoll_ctl(impl.epoll, EPOLL_CTL_ADD, impl.wake, &event) != 0) {
    return Status(StatusCode::kInternal, "epoll: cannot watch connections",
                  {.sys_errno = errno, .reason = "internal"});
  }
  impl.thread = std::thread([&impl] { impl.Run(); });
  return watch;
}

PeerWatch::~PeerWatch() {
  if (impl_->thread.joinable()) {
    const uint64_t one = 1;
    (void)!write(impl_->wake, &one, sizeof one);  // cannot fail: nobody else counts there
    impl_->thread.join();
  }
  if (impl_->epoll >= 0) close(impl_->epoll);
  if (impl_->wake >= 0) close(impl_->wake);
}

PeerWatch::Handle PeerWatch::Add(int socket, std::function<void()> gone) {
  std::lock_guard lock(impl_->mutex);
  const unsigned long id = impl_->next_id++;
  impl_->entries[id] = {socket, std::move(gone)};
  epoll_event event{.events = EPOLLRDHUP | EPOLLONESHOT, .data = {.u64 = id}};
  epoll_ctl(impl_->epoll, EPOLL_CTL_ADD, socket, &event);
  return Handle(this, id);
}

PeerWatch::Handle& PeerWatch::Handle::operator=(Handle&& other) noexcept {
  std::swap(watch_, other.watch_);
  std::swap(id_, other.id_);
  return *this;
}

PeerWatch::Handle::~Handle() {
  if (watch_ == nullptr) return;
  Impl& impl = *watch_->impl_;
  std::unique_lock lock(impl.mutex);
  impl.idle.wait(lock, [&] { return impl.running != id_; });
  const auto found = impl.entries.find(id_);
  if (found->second.socket >= 0) {
    epoll_ctl(impl.epoll, EPOLL_CTL_DEL, found->second.socket, nullptr);
  }
  impl.entries.erase(found);
}

}  // namespace miniboxd
