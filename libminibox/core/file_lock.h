// SPDX-License-Identifier: Apache-2.0
// Locks between processes and threads: an open file description lock (flock) that dies
// with its holder. Two FileLocks on one file exclude each other even within a process.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string_view>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

class FileLock {
 public:
  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) noexcept = default;
  // Waits for the lock on `name` in `dir`, creating the file (0600) if missing. If the
  // file was unlinked or replaced meanwhile, locks the new one.
  static StatusOr<FileLock> Acquire(int dir, std::string_view name, std::stop_token stop = {});
  // nullopt if somebody else holds it.
  static StatusOr<std::optional<FileLock>> TryAcquire(int dir, std::string_view name);
  int fd() const { return fd_.get(); }

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace minibox::core
