// SPDX-License-Identifier: Apache-2.0
// Reads container.log and its rotated predecessors as one stream, oldest first (spec §12.15).
// The monitor may be writing and rotating meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

#include "core/fd.h"
#include "core/root_dir.h"
#include "init/log_format.h"
#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::runtime {

// The index beside one file of the log, read forward. One that is missing has no records.
class LogIndex {
 public:
  explicit LogIndex(core::Fd file = {}) : file_(std::move(file)) {}
  bool exists() const { return file_.valid(); }
  // Offsets begin anew.
  void Rewind() { next_ = 0; }
  // Bytes from `offset` to `end` at most: their stream and where it ends, nullopt if no record
  // says so yet. Offsets may only grow.
  struct Span {
    Stream stream;
    uint64_t end;
    int64_t time_ns = 0;  // of the first write in it
  };
  // `by_write`: of one write only, else of all that follow on the same stream.
  std::optional<Span> At(uint64_t offset, uint64_t end, bool by_write = false);
  // Where the first write begins that is not older than `time_ns`; nullopt: there is none.
  std::optional<uint64_t> FirstSince(int64_t time_ns);

 private:
  // The first record that ends behind `offset`.
  const init::LogIndexRecord* Find(uint64_t offset);
  const init::LogIndexRecord* Record(uint64_t number);
  core::Fd file_;
  uint64_t next_ = 0;  // records before it end at or before the last offset asked for
  uint64_t block_first_ = 0;
  std::vector<init::LogIndexRecord> block_{};
};

// Part of the log.
struct LogSelection {
  std::optional<size_t> tail_lines{};  // of what the rest selects
  std::optional<TimePoint> since{}, until{};
  std::optional<Stream> stream{};
  bool timestamps = false;  // RFC 3339 time and a blank before each line

  bool IsWhole() const { return !since && !until && !stream && !timestamps; }
};

// One thread at a time.
class LogReader {
 public:
  // `dir` holds the log and outlives the reader. A log that does not exist yet is empty.
  static StatusOr<LogReader> Open(const core::RootDir& dir, const LogSelection& selection);
  static StatusOr<LogReader> Open(const core::RootDir& dir, std::optional<size_t> tail_lines) {
    return Open(dir, LogSelection{.tail_lines = tail_lines});
  }

  enum class Until {
    kOpened,    // the files there were when the reader was opened: ends, however much is written
    kRecorded,  // everything that the index accounts for, across rotations
    kEnd,       // everything across rotations: nobody writes any more
  };
  // Hands on what has not been handed on. Returns the sink's error.
  Status Drain(Until until, const OutputFn& sink, const std::stop_token& stop);

 private:
  // The inode tells a file apart when its name changes.
  struct File {
    core::Fd log;
    LogIndex index;
    ino_t inode = 0;
    uint64_t offset = 0;
  };

  // A piece of the log: what one write, or several on one stream, have brought.
  struct Piece {
    Stream stream;
    int64_t time_ns;
    std::string_view bytes;
  };
  using PieceFn = std::function<Status(const Piece&)>;

  LogReader(const core::RootDir* dir, const LogSelection& selection)
      : dir_(dir), selection_(selection) {}
  StatusOr<std::optional<File>> OpenFile(int number) const;
  // Files that are newer than `after` (all if 0), oldest first, opened so that a rotation in
  // between loses none.
  StatusOr<std::vector<File>> OpenNewer(ino_t after) const;
  Status SkipToTail(size_t lines);
  // The same where lines of the selection count, not of the file.
  Status SkipToSelectedTail(size_t lines);
  void SkipToSince(File& file, bool complete) const;
  void FindIndex(File& file) const;
  bool IsSelected(const Piece& piece) const;
  Status Deliver(const Piece& piece, const OutputFn& sink);
  Status DrainFile(File& file, bool all, const PieceFn& sink, const std::stop_token& stop) const;
  Status DrainPieces(Until until, const PieceFn& sink, const std::stop_token& stop);

  const core::RootDir* dir_;
  LogSelection selection_;
  std::vector<File> files_{};  // oldest first; the last one may still grow
  uint64_t lines_to_skip_ = 0;
  bool at_line_start_ = true;
};

}  // namespace minibox::runtime
