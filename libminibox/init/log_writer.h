// SPDX-License-Identifier: Apache-2.0
// container.log and its index (init/log_format.h), rotated by size.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "init/held.h"
#include "init/log_format.h"
#include "init/protocol.h"

namespace minibox::init {

// A failing disk loses output of the log, never more: the number of bytes is noted in the log
// once writing works again.
class LogWriter {
 public:
  // `dir` is borrowed. max_bytes 0: never rotated. `max_files`: with the current one.
  // `timestamps`: each line in the file begins with the time of its first byte and a blank.
  bool Open(int dir, uint64_t max_bytes, int max_files, bool timestamps, Failure& failure);
  // Does nothing unless opened.
  void Write(LogStream stream, const void* bytes, size_t size);

 private:
  bool OpenFiles();
  bool Rotate();
  void NoteLoss();
  void WriteStamped(LogStream stream, const char* bytes, size_t size);
  void WritePiece(LogStream stream, const void* bytes, size_t size);
  // Adds what it could write to the index, counts the rest as lost.
  bool Append(LogStream stream, const void* bytes, size_t size);

  int dir_ = -1;
  uint64_t max_bytes_ = 0;
  int max_files_ = 1;
  Held log_, index_;
  uint64_t size_ = 0;
  bool at_line_start_ = true;
  bool timestamps_ = false;
  uint64_t lost_bytes_ = 0;
  int lost_error_ = 0;
};

}  // namespace minibox::init
