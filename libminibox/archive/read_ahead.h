// SPDX-License-Identifier: Apache-2.0
// A source read by a thread of its own, a few buffers ahead of who needs the bytes: inflating and
// hashing go on while files are being made. A source that ends within the first buffer costs no
// thread.
#pragma once

#include <memory>

#include "archive/compression.h"
#include "core/sha256.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::archive {

class ReadAhead {
 public:
  // `source` is called by one thread at a time, though not always the same. The destructor waits
  // for a call in progress.
  explicit ReadAhead(ReadFn source);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // As the source: what it yields, its end, its error.
  StatusOr<size_t> Read(char* buffer, size_t size);
  // Of all bytes, once Read() has said that there are no more.
  Digest DigestOfAll();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::archive
