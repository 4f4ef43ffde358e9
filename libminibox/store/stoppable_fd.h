// SPDX-License-Identifier: Apache-2.0
// Reads a descriptor that may have nothing for a long time, a pipe or a socket, until somebody
// wants to stop.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::store {

class StoppableFd {
 public:
  // `fd` is borrowed; `what` names it in errors.
  static StatusOr<std::shared_ptr<StoppableFd>> Create(int fd, std::stop_token stop,
                                                       std::string_view what);
  // kCancelled once a stop was requested.
  StatusOr<size_t> Read(char* buffer, size_t size);

 private:
  StoppableFd(int fd, std::stop_token stop, core::Fd wake, std::string what);

  const int fd_;
  const std::string what_;
  core::Fd wake_;
  std::stop_token stop_;
  std::stop_callback<std::function<void()>> on_stop_;
};

}  // namespace minibox::store
