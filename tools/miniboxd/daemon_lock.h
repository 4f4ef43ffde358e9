// SPDX-License-Identifier: Apache-2.0
// One daemon per data root (spec §1.1): DataRoot/daemon.lock, held for the daemon's life.
#pragma once

#include <string>

#include "minibox/status.h"

namespace miniboxd {

class DaemonLock {
 public:
  // kFailedPrecondition naming the holder's pid if another daemon has it, and keeps it for 2 s: one
  // that was killed may be survived by a child for a moment.
  static minibox::StatusOr<DaemonLock> Take(const std::string& data_root);
  DaemonLock(DaemonLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  DaemonLock& operator=(DaemonLock&&) = delete;
  ~DaemonLock();

 private:
  explicit DaemonLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace miniboxd
