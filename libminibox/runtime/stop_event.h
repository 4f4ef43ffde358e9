// SPDX-License-Identifier: Apache-2.0
// A stop request as a descriptor, to wait for together with others.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::runtime {

class StopEvent {
 public:
  // Costs nothing if no stop can be requested.
  static StatusOr<StopEvent> Create(const std::stop_token& stop);
  StopEvent(StopEvent&&) = default;

  // Readable when a stop is requested; -1: none can be.
  int fd() const;

  enum class Woken { kReadable, kStopped, kTimeout };
  // Waits until `fd` is readable or at its end, or a stop is requested, which wins.
  StatusOr<Woken> WaitReadable(int fd, int timeout_ms = -1) const;

 private:
  StopEvent() = default;
  // Behind a pointer: the callback refers to it.
  struct State;
  struct Delete {
    void operator()(State* state) const;
  };
  std::unique_ptr<State, Delete> state_;
};

}  // namespace minibox::runtime
