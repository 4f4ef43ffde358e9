// SPDX-License-Identifier: Apache-2.0
// container.log and container.log.idx.
//
// container.log holds the bytes of stdout and stderr as they came. For each write there is one
// LogIndexRecord in container.log.idx, in order, in the machine's byte order. When the log has
// reached its limit, both become container.log.1 and container.log.1.idx, what was .1 becomes
// .2 and so on; offsets are those of the file that the index stands beside. A record is written
// after its bytes, so bytes at the end without a record were written by a monitor that was
// killed in between.
#pragma once

#include <stdint.h>

namespace minibox::init {

struct LogIndexRecord {
  uint64_t offset;  // in container.log
  int64_t time_ns;  // since 1970
  uint32_t length;  // of the bytes
  uint8_t stream;   // LogStream
  uint8_t pad[3];   // 0
};
static_assert(sizeof(LogIndexRecord) == 24);

enum class LogStream : uint8_t { kStdout = 1, kStderr = 2, kMonitor = 3 };

inline constexpr char kLogName[] = "container.log";
inline constexpr char kLogIndexSuffix[] = ".idx";

}  // namespace minibox::init
