// SPDX-License-Identifier: Apache-2.0
#include "runtime/log_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kIndexBlock = 1024;  // records
constexpr int kMaxFiles = 101;        // log_max_files is at most 100; one more during a rotation

uint64_t End(const init::LogIndexRecord& record) { return record.offset + record.length; }

Stream StreamOf(const init::LogIndexRecord& record) {
  return record.stream == static_cast<uint8_t>(init::LogStream::kStdout) ? Stream::kStdout
                                                                         : Stream::kStderr;
}

StatusOr<size_t> ReadAt(int fd, char* into, size_t size, uint64_t offset) {
  while (true) {
    const ssize_t n = pread(fd, into, size, static_cast<off_t>(offset));
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return core::SysError("pread", init::kLogName);
  }
}

StatusOr<uint64_t> SizeOf(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return core::SysError("fstat", init::kLogName);
  return static_cast<uint64_t>(st.st_size);
}

}  // namespace

const init::LogIndexRecord* LogIndex::Record(uint64_t number) {
  if (number < block_first_ || number >= block_first_ + block_.size()) {
    std::vector<init::LogIndexRecord> block(kIndexBlock);
    auto got =
        ReadAt(file_.get(), reinterpret_cast<char*>(block.data()),
               block.size() * sizeof(init::LogIndexRecord), number * sizeof(init::LogIndexRecord));
    if (!got.ok()) return nullptr;
    block.resize(*got / sizeof(init::LogIndexRecord));
    block_ = std::move(block);
    block_first_ = number;
    if (block_.empty()) return nullptr;
  }
  return &block_[number - block_first_];
}

const init::LogIndexRecord* LogIndex::Find(uint64_t offset) {
  if (!exists()) return nullptr;
  if (next_ == 0 && offset > 0) {
    // A tail begins far behind: records are sorted by offset.
    auto size = SizeOf(file_.get());
    uint64_t low = 0, high = size.ok() ? *size / sizeof(init::LogIndexRecord) : 0;
    while (low < high) {
      const uint64_t middle = low + (high - low) / 2;
      const init::LogIndexRecord* record = Record(middle);
      if (record == nullptr || End(*record) > offset) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    next_ = low;
  }
  while (true) {
    const init::LogIndexRecord* record = Record(next_);
    if (record == nullptr || End(*record) > offset) return record;
    ++next_;
  }
}

std::optional<uint64_t> LogIndex::FirstSince(int64_t time_ns) {
  if (!exists()) return std::nullopt;
  auto size = SizeOf(file_.get());
  const uint64_t count = size.ok() ? *size / sizeof(init::LogIndexRecord) : 0;
  // Times grow from write to write, unless somebody sets the clock: then what is found is looked
  // through once more by whoever asks.
  uint64_t low = 0, high = count;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    const init::LogIndexRecord* record = Record(middle);
    if (record == nullptr || record->time_ns >= time_ns) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  const init::LogIndexRecord* record = low < count ? Record(low) : nullptr;
  return record == nullptr ? std::nullopt : std::optional<uint64_t>(record->offset);
}

std::optional<LogIndex::Span> LogIndex::At(uint64_t offset, uint64_t end, bool by_write) {
  const init::LogIndexRecord* record = Find(offset);
  if (record == nullptr) return std::nullopt;
  // Bytes without a record in front of one that has: a monitor was killed in between.
  if (record->offset > offset) {
    return Span{Stream::kStdout, std::min(end, record->offset), record->time_ns};
  }
  Span span{StreamOf(*record), End(*record), record->time_ns};
  for (uint64_t number = next_ + 1; !by_write && span.end < end; ++number) {
    const init::LogIndexRecord* more = Record(number);
    if (more == nullptr || StreamOf(*more) != span.stream || more->offset != span.end) break;
    span.end = End(*more);
  }
  span.end = std::min(span.end, end);
  return span;
}

StatusOr<std::optional<LogReader::File>> LogReader::OpenFile(int number) const {
  const std::string name = number == 0 ? init::kLogName : core::StrCat(init::kLogName, ".", number);
  auto log = dir_->OpenNoFollow(name, O_RDONLY);
  if (!log.ok()) {
    if (log.status().code() == StatusCode::kNotFound) return std::optional<File>();
    return log.status();
  }
  struct stat st;
  if (fstat(log->get(), &st) != 0) return core::SysError("fstat", name);
  File file;
  file.log = std::move(*log);
  file.inode = st.st_ino;
  auto index = dir_->OpenNoFollow(name + ".idx", O_RDONLY);
  if (index.ok()) file.index = LogIndex(std::move(*index));
  // Both names move together, but not at once: an index of the wrong file would mix up streams.
  auto still = dir_->LStat(name);
  if (!still.ok() || still->st_ino != file.inode) file.index = LogIndex();
  return std::optional<File>(std::move(file));
}

StatusOr<std::vector<LogReader::File>> LogReader::OpenNewer(ino_t after) const {
  std::vector<File> found;
  int missing = 0;
  for (int number = 0; number <= kMaxFiles && missing < 2; ++number) {
    MBX_ASSIGN_OR_RETURN(std::optional<File> file, OpenFile(number));
    // A name is free for a moment while the files move on.
    if (!file) {
      ++missing;
      continue;
    }
    missing = 0;
    if (file->inode == after) break;
    const bool seen = std::any_of(found.begin(), found.end(),
                                  [&](const File& other) { return other.inode == file->inode; });
    if (!seen) found.push_back(std::move(*file));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

Status LogReader::SkipToTail(size_t lines) {
  const auto buffer = std::make_unique<char[]>(kBlock);
  size_t newlines = 0;
  bool last_byte = true;  // a newline at the very end ends the last line, it begins none
  for (size_t i = files_.size(); i-- > 0;) {
    MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(files_[i].log.get()));
    if (lines == 0) files_[i].offset = size;
    uint64_t end = lines == 0 ? 0 : size;
    while (end > 0) {
      const uint64_t begin = end > kBlock ? end - kBlock : 0;
      MBX_ASSIGN_OR_RETURN(const size_t got, ReadAt(files_[i].log.get(), buffer.get(),
                                                    static_cast<size_t>(end - begin), begin));
      for (size_t at = got; at-- > 0;) {
        const bool newline = buffer[at] == '\n';
        if (newline && !last_byte && ++newlines == lines) {
          files_[i].offset = begin + at + 1;
          files_.erase(files_.begin(), files_.begin() + static_cast<ptrdiff_t>(i));
          return Status();
        }
        last_byte = false;
      }
      end = begin;
    }
  }
  return Status();
}

StatusOr<LogReader> LogReader::Open(const core::RootDir& dir, const LogSelection& selection) {
  LogReader reader(&dir, selection);
  MBX_ASSIGN_OR_RETURN(reader.files_, reader.OpenNewer(0));
  for (size_t i = 0; i < reader.files_.size(); ++i) {
    reader.SkipToSince(reader.files_[i], i + 1 < reader.files_.size());
  }
  const bool filtered = selection.since || selection.until || selection.stream;
  if (selection.tail_lines) {
    MBX_RETURN_IF_ERROR(filtered ? reader.SkipToSelectedTail(*selection.tail_lines)
                                 : reader.SkipToTail(*selection.tail_lines));
  }
  return reader;
}

void LogReader::SkipToSince(File& file, bool complete) const {
  if (!selection_.since) return;
  const int64_t time_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(selection_.since->time_since_epoch())
          .count();
  if (const auto first = file.index.FirstSince(time_ns)) {
    file.offset = *first;
  } else if (complete && file.index.exists()) {
    if (const auto size = SizeOf(file.log.get()); size.ok()) file.offset = *size;
  }
}

Status LogReader::SkipToSelectedTail(size_t lines) {
  // Once through for their number, so that it needs no memory; then again.
  std::vector<uint64_t> offsets;
  for (const File& file : files_) offsets.push_back(file.offset);
  uint64_t count = 0;
  bool open_line = false;
  for (File& file : files_) {
    MBX_RETURN_IF_ERROR(DrainFile(file, /*all=*/true,
                                  [&](const Piece& piece) {
                                    if (!IsSelected(piece) || piece.bytes.empty()) return Status();
                                    count += static_cast<uint64_t>(
                                        std::count(piece.bytes.begin(), piece.bytes.end(), '\n'));
                                    open_line = piece.bytes.back() != '\n';
                                    return Status();
                                  },
                                  {}));
  }
  if (open_line) ++count;
  for (size_t i = 0; i < files_.size(); ++i) {
    files_[i].offset = offsets[i];
    files_[i].index.Rewind();
  }
  lines_to_skip_ = count > lines ? count - lines : 0;
  return Status();
}

bool LogReader::IsSelected(const Piece& piece) const {
  const TimePoint time{std::chrono::nanoseconds(piece.time_ns)};
  return (!selection_.stream || piece.stream == *selection_.stream) &&
         (!selection_.since || time >= *selection_.since) &&
         (!selection_.until || time < *selection_.until);
}

Status LogReader::Deliver(const Piece& piece, const OutputFn& sink) {
  if (!IsSelected(piece)) return Status();
  std::string_view bytes = piece.bytes;
  while (lines_to_skip_ > 0 && !bytes.empty()) {
    const size_t newline = bytes.find('\n');
    if (newline == std::string_view::npos) return Status();
    bytes.remove_prefix(newline + 1);
    --lines_to_skip_;
  }
  if (bytes.empty()) return Status();
  if (!selection_.timestamps) return sink({piece.stream, bytes});
  const std::string stamp =
      core::FormatTime(TimePoint(std::chrono::nanoseconds(piece.time_ns))) + " ";
  std::string text;
  text.reserve(bytes.size() + stamp.size());
  while (!bytes.empty()) {
    if (at_line_start_) text += stamp;
    const size_t end = std::min(bytes.find('\n'), bytes.size() - 1) + 1;
    text += bytes.substr(0, end);
    at_line_start_ = bytes[end - 1] == '\n';
    bytes.remove_prefix(end);
    if (text.size() < kBlock) continue;
    MBX_RETURN_IF_ERROR(sink({piece.stream, text}));
    text.clear();
  }
  return text.empty() ? Status() : sink({piece.stream, text});
}

Status LogReader::DrainFile(File& file, bool all, const PieceFn& sink,
                            const std::stop_token& stop) const {
  const auto buffer = std::make_unique<char[]>(kBlock);
  const bool by_write = selection_.since || selection_.until || selection_.timestamps;
  MBX_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(file.log.get()));
  int64_t last_time_ns = 0;
  while (file.offset < size) {
    if (stop.stop_requested()) return core::Cancelled("log");
    MBX_ASSIGN_OR_RETURN(
        const size_t got,
        ReadAt(file.log.get(), buffer.get(),
               static_cast<size_t>(std::min<uint64_t>(kBlock, size - file.offset)), file.offset));
    if (got == 0) return Status();
    const uint64_t first = file.offset, end = first + got;
    while (file.offset < end) {
      auto span = file.index.At(file.offset, end, by_write);
      if (!span) {
        // Their record follows; without an index there is nothing to wait for.
        if (!all && file.index.exists()) return Status();
        span = LogIndex::Span{Stream::kStdout, end, last_time_ns};
      }
      last_time_ns = span->time_ns;
      const std::string_view bytes(buffer.get() + (file.offset - first), span->end - file.offset);
      MBX_RETURN_IF_ERROR(sink({span->stream, span->time_ns, bytes}));
      file.offset = span->end;
    }
  }
  return Status();
}

void LogReader::FindIndex(File& file) const {
  // The log was seen before its first record was written.
  auto current = OpenFile(0);
  if (current.ok() && *current && (*current)->inode == file.inode) {
    file.index = std::move((*current)->index);
  }
}

Status LogReader::Drain(Until until, const OutputFn& sink, const std::stop_token& stop) {
  return DrainPieces(
      until, [&](const Piece& piece) { return Deliver(piece, sink); }, stop);
}

Status LogReader::DrainPieces(Until until, const PieceFn& sink, const std::stop_token& stop) {
  while (true) {
    while (!files_.empty()) {
      if (files_.size() == 1 && !files_.front().index.exists()) FindIndex(files_.front());
      // A file that has a successor is complete.
      const bool all = until != Until::kRecorded || files_.size() > 1;
      MBX_RETURN_IF_ERROR(DrainFile(files_.front(), all, sink, stop));
      if (files_.size() == 1) break;
      files_.erase(files_.begin());
    }
    if (until == Until::kOpened) return Status();
    MBX_ASSIGN_OR_RETURN(std::vector<File> newer,
                         OpenNewer(files_.empty() ? 0 : files_.front().inode));
    if (newer.empty()) return Status();
    for (File& file : newer) files_.push_back(std::move(file));
  }
}

}  // namespace minibox::runtime
