// SPDX-License-Identifier: Apache-2.0
// When a new IPv6 address is one: the kernel acknowledges it at once, but routes packets to it and
// answers neighbours that look for it only when a worker got hold of its big lock.
//
//   events = AddressEvents::Open();  rtnetlink.AddAddresses6(new);  events.Await(new);
#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "kernel/rtnetlink.h"
#include "minibox/status.h"

namespace minibox::kernel {

// Of the network namespace of the thread that opened it. Not thread-safe.
class AddressEvents {
 public:
  static StatusOr<AddressEvents> Open();
  // Returns when all of these, added since Open and not there before, are in use.
  // kDeadlineExceeded.
  Status Await(std::vector<Address6> addresses, std::chrono::milliseconds timeout);

 private:
  explicit AddressEvents(core::Fd fd) : fd_(std::move(fd)) {}
  core::Fd fd_;
};

}  // namespace minibox::kernel
