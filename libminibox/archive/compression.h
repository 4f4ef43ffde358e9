// SPDX-License-Identifier: Apache-2.0
// Streams in and out of gzip and zstd.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "minibox/status.h"

namespace minibox::archive {

enum class Compression { kNone, kGzip, kZstd };

// Pulls bytes: fills up to `size`, returns how many; 0 = end.
using ReadFn = std::function<StatusOr<size_t>(char* buffer, size_t size)>;
using WriteFn = std::function<Status(std::string_view bytes)>;

ReadFn ReadFromFd(int fd);  // borrowed
WriteFn WriteToFd(int fd);  // borrowed

// By magic number.
Compression DetectCompression(std::string_view head);

// A source that yields the decompressed bytes of `source` whatever its format: several gzip
// members, several zstd frames (window <= 128 MiB), plain. Damaged input is kDataLoss
// "invalid_archive". Fails with kResourceExhausted "invalid_archive" when the output exceeds
// 200 x the input beyond the first `bomb_free_bytes` (spec §11.2).
ReadFn Decompress(ReadFn source, uint64_t bomb_free_bytes = 1u << 30);

// A push compressor. Output does not depend on time, name or number of threads.
class Compressor {
 public:
  // `threads` that compress beside the caller's; 1: it does so itself.
  static StatusOr<std::unique_ptr<Compressor>> Create(Compression format, WriteFn sink,
                                                      int threads = 1);
  virtual ~Compressor() = default;
  virtual Status Write(std::string_view bytes) = 0;
  virtual Status Finish() = 0;
};

}  // namespace minibox::archive
