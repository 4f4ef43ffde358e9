// SPDX-License-Identifier: Apache-2.0
#include "registry/growing_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/errors.h"

namespace minibox::registry {

void GrowingFile::Grow(uint64_t size) {
  {
    const std::lock_guard lock(mutex_);
    size_ = size;
  }
  changed_.notify_one();
}

void GrowingFile::End(Status status) {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    status_ = std::move(status);
  }
  changed_.notify_one();
}

StatusOr<size_t> GrowingFile::Read(char* buffer, size_t size) {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return size_ > offset_ || ended_; });
    // What is here is of no use if the rest will not come.
    if (!status_.ok()) return status_;
    if (size_ == offset_) return size_t{0};
    size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset_));
  }
  while (true) {
    const ssize_t count = pread(fd_, buffer, size, static_cast<off_t>(offset_));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return core::SysError("pread", "partial blob");
    if (count == 0) return core::DataLoss("a partial blob was cut short");
    offset_ += static_cast<uint64_t>(count);
    return static_cast<size_t>(count);
  }
}

}  // namespace minibox::registry
