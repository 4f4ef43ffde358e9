// SPDX-License-Identifier: Apache-2.0
// A file that one thread appends to and another reads at the same time: a layer is unpacked while
// it downloads. The page cache is the buffer between them, so that memory stays small and neither
// waits for the other more than it must.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "minibox/status.h"

namespace minibox::registry {

class GrowingFile {
 public:
  // `fd` is borrowed.
  explicit GrowingFile(int fd) : fd_(fd) {}

  // There are that many bytes now.
  void Grow(uint64_t size);
  // No more will come: all are here, or why not.
  void End(Status status);
  // The next bytes; waits for some. 0: the end. The error of End().
  StatusOr<size_t> Read(char* buffer, size_t size);

 private:
  const int fd_;
  uint64_t offset_ = 0;  // the reader's
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t size_ = 0;
  bool ended_ = false;
  Status status_;
};

}  // namespace minibox::registry
