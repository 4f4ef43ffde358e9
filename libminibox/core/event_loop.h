// SPDX-License-Identifier: Apache-2.0
// One epoll thread that calls back when descriptors are ready or deadlines pass.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "minibox/status.h"

namespace minibox::core {

// Thread-safe. Callbacks run on the loop's thread, one at a time, and must not block.
// Destruction stops and joins the thread; no callback runs afterwards. It may not be
// destroyed from a callback.
class EventLoop {
 public:
  using Id = uint64_t;
  static StatusOr<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();

  // Watches `fd` (borrowed; must stay open until Remove) for `events` (EPOLLIN, …).
  StatusOr<Id> Add(int fd, uint32_t events, std::function<void(uint32_t)> callback);
  Id AddTimer(std::chrono::steady_clock::time_point when, std::function<void()> callback);
  // After return the callback neither runs nor will run, unless called from itself.
  void Remove(Id id);
  // Runs `callback` soon on the loop's thread.
  void Post(std::function<void()> callback);

 private:
  EventLoop();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::core
