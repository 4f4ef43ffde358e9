// SPDX-License-Identifier: Apache-2.0
// Reads container.log and its rotated predecessors as one stream, oldest first (spec §12.15).
// The monitor may be writing and rotating meanwhile.
#pragma once

#include <sys/types.h>

#include <cstdint>
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
  // Bytes from `offset` to `end` at most: their stream and where it ends, nullopt if no record
  // says so yet. Offsets may only grow.
  struct Span {
    Stream stream;
    uint64_t end;
  };
  std::optional<Span> At(uint64_t offset, uint64_t end);

 private:
  // The first record that ends behind `offset`.
  const init::LogIndexRecord* Find(uint64_t offset);
  const init::LogIndexRecord* Record(uint64_t number);
  core::Fd file_;
  uint64_t next_ = 0;  // records before it end at or before the last offset asked for
  uint64_t block_first_ = 0;
  std::vector<init::LogIndexRecord> block_{};
};

// One thread at a time.
class LogReader {
 public:
  // `dir` holds the log and outlives the reader. A log that does not exist yet is empty.
  static StatusOr<LogReader> Open(const core::RootDir& dir, std::optional<size_t> tail_lines);

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

  explicit LogReader(const core::RootDir* dir) : dir_(dir) {}
  StatusOr<std::optional<File>> OpenFile(int number) const;
  // Files that are newer than `after` (all if 0), oldest first, opened so that a rotation in
  // between loses none.
  StatusOr<std::vector<File>> OpenNewer(ino_t after) const;
  Status SkipToTail(size_t lines);
  void FindIndex(File& file) const;
  Status DrainFile(File& file, bool all, const OutputFn& sink, const std::stop_token& stop) const;

  const core::RootDir* dir_;
  std::vector<File> files_{};  // oldest first; the last one may still grow
};

}  // namespace minibox::runtime
