// SPDX-License-Identifier: Apache-2.0
// An owned descriptor of minibox-init.
#pragma once

#include <unistd.h>

namespace minibox::init {

class Held {
 public:
  explicit Held(int fd = -1) : fd_(fd) {}
  ~Held() { Reset(); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

}  // namespace minibox::init
