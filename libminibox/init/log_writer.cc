// SPDX-License-Identifier: Apache-2.0
#include "init/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/step_log.h"
#include "init/time_text.h"

namespace minibox::init {
namespace {

constexpr mode_t kMode = 0600;
constexpr size_t kPieceBytes = 8192;  // of output with timestamps that is written at once

using Name = Text<64>;

// 0 is the current file.
Name LogName(int number, bool index) {
  Name name;
  name << kLogName;
  if (number > 0) name << '.' << number;
  if (index) name << kLogIndexSuffix;
  return name;
}

int OpenForAppend(int dir, const Name& name) {
  return openat(dir, name.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kMode);
}

void RenameLog(int dir, int number, bool index) {
  const Name from = LogName(number, index), to = LogName(number + 1, index);
  (void)renameat(dir, from.c_str(), dir, to.c_str());
}

// As much as can be written.
size_t WriteSome(int fd, const void* bytes, size_t size) {
  size_t done = 0;
  while (done < size) {
    const ssize_t written = write(fd, static_cast<const char*>(bytes) + done, size - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    done += static_cast<size_t>(written);
  }
  return done;
}

// What an earlier run has left.
bool EndsWithNewline(int dir, uint64_t size) {
  const Held log(openat(dir, kLogName, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  char last = '\n';
  return !log.valid() || pread(log.get(), &last, 1, static_cast<off_t>(size - 1)) != 1 ||
         last == '\n';
}

}  // namespace

bool LogWriter::Open(int dir, uint64_t max_bytes, int max_files, bool timestamps,
                     Failure& failure) {
  dir_ = dir;
  timestamps_ = timestamps;
  max_bytes_ = max_bytes;
  max_files_ = max_files < 1 ? 1 : max_files;
  if (!OpenFiles()) return Fail(failure, "open", kLogName);
  at_line_start_ = size_ == 0 || EndsWithNewline(dir, size_);
  return true;
}

bool LogWriter::OpenFiles() {
  log_.Reset(OpenForAppend(dir_, LogName(0, false)));
  index_.Reset(OpenForAppend(dir_, LogName(0, true)));
  struct stat log, index;
  if (!log_.valid() || !index_.valid() || fstat(log_.get(), &log) != 0 ||
      fstat(index_.get(), &index) != 0) {
    log_.Reset();
    return false;
  }
  size_ = static_cast<uint64_t>(log.st_size);
  // The end of a record that a full disk or a kill has cut.
  constexpr off_t kRecord = sizeof(LogIndexRecord);
  if (index.st_size % kRecord != 0) {
    (void)ftruncate(index_.get(), index.st_size - index.st_size % kRecord);
  }
  return true;
}

bool LogWriter::Rotate() {
  for (int number = max_files_ - 2; number >= 0; --number) {
    // There may be fewer files than are kept.
    RenameLog(dir_, number, false);
    RenameLog(dir_, number, true);
  }
  if (max_files_ == 1) {
    (void)unlinkat(dir_, LogName(0, false).c_str(), 0);
    (void)unlinkat(dir_, LogName(0, true).c_str(), 0);
  }
  return OpenFiles();
}

bool LogWriter::Append(LogStream stream, const void* bytes, size_t size) {
  const size_t written = WriteSome(log_.get(), bytes, size);
  if (written < size) {
    lost_error_ = errno;
    lost_bytes_ += size - written;
  }
  if (written > 0) {
    LogIndexRecord record{};
    record.offset = size_;
    record.time_ns = static_cast<int64_t>(NowNs(CLOCK_REALTIME));
    record.length = static_cast<uint32_t>(written);
    record.stream = static_cast<uint8_t>(stream);
    // Bytes without a record are still read, with the time of those before.
    (void)WriteSome(index_.get(), &record, sizeof record);
    size_ += written;
    at_line_start_ = static_cast<const char*>(bytes)[written - 1] == '\n';
  }
  return written == size;
}

void LogWriter::NoteLoss() {
  Text<256> note;
  if (!at_line_start_) note << '\n';
  note << "[minibox] " << lost_bytes_ << " bytes of output lost: " << strerror(lost_error_) << '\n';
  const uint64_t lost = lost_bytes_;
  lost_bytes_ = 0;
  // Only output counts, not a note that found no room either.
  if (!Append(LogStream::kMonitor, note.c_str(), note.size())) lost_bytes_ = lost;
}

void LogWriter::Write(LogStream stream, const void* bytes, size_t size) {
  if (dir_ < 0 || size == 0) return;
  if (timestamps_) {
    WriteStamped(stream, static_cast<const char*>(bytes), size);
  } else {
    WritePiece(stream, bytes, size);
  }
}

void LogWriter::WriteStamped(LogStream stream, const char* bytes, size_t size) {
  Text<64> stamp;
  AppendTime(stamp, static_cast<int64_t>(NowNs(CLOCK_REALTIME)));
  stamp << ' ';
  // Whole lines share a write; the buffer bounds the stack.
  Text<kPieceBytes> piece;
  bool line_start = at_line_start_;
  while (size > 0) {
    if (piece.size() >= kPieceBytes - 2 * sizeof stamp) {
      WritePiece(stream, piece.c_str(), piece.size());
      piece = Text<kPieceBytes>();
    }
    if (line_start) piece.Append(stamp.c_str(), stamp.size());
    const size_t room = kPieceBytes - 1 - piece.size();
    const size_t most = size < room ? size : room;
    const void* newline = memchr(bytes, '\n', most);
    const size_t length = newline == nullptr
                              ? most
                              : static_cast<size_t>(static_cast<const char*>(newline) - bytes) + 1;
    piece.Append(bytes, length);
    line_start = newline != nullptr;
    bytes += length;
    size -= length;
  }
  WritePiece(stream, piece.c_str(), piece.size());
  // What was lost has had its line too.
  at_line_start_ = line_start;
}

void LogWriter::WritePiece(LogStream stream, const void* bytes, size_t size) {
  const bool full = max_bytes_ > 0 && size_ > 0 && size_ + size > max_bytes_;
  if (log_.valid() ? full && !Rotate() : !OpenFiles()) {
    lost_bytes_ += size;
    lost_error_ = errno;
    return;
  }
  if (lost_bytes_ > 0) NoteLoss();
  if (lost_bytes_ > 0) {
    lost_bytes_ += size;
    return;
  }
  (void)Append(stream, bytes, size);  // counts what is lost
}

}  // namespace minibox::init
