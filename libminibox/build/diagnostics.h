// SPDX-License-Identifier: Apache-2.0
// What is wrong with a MiniBox file, by byte offset while it is read and by line and column
// when it is told (spec §7.9).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::build {

class Diagnostics {
 public:
  void Error(size_t offset, std::string message);
  void Warning(size_t offset, std::string message);
  bool failed() const { return failed_; }
  void Append(const Diagnostics& other);

  // In file order, each once, the first `limit` of a file with more.
  std::vector<Diagnostic> Resolve(std::string_view source, size_t limit) const;

 private:
  struct Entry {
    size_t offset;
    Diagnostic::Severity severity;
    std::string message;
  };
  void Add(Entry entry);
  static std::vector<Entry> Sorted(std::vector<Entry> entries);
  // Kept short by dropping the last ones in file order, so that a file of nothing but errors
  // costs no more than others.
  std::vector<Entry> errors_, warnings_;
  bool failed_ = false;
};

// kInvalidArgument "invalid_build_file" with one line for each error, at most 20; OK if
// there is none.
Status ToStatus(const std::vector<Diagnostic>& diagnostics);

// Finds the 1-based line of an offset.
class LineNumbers {
 public:
  explicit LineNumbers(std::string_view source);
  int At(size_t offset) const;

 private:
  std::vector<size_t> begins_;
};

// User text in a message: quoted, control characters escaped, cut where it gets long.
std::string Quoted(std::string_view text);

// " (did you mean 'x'?)" for the nearest candidate within edit distance 2, ignoring case;
// else "".
std::string Suggestion(std::string_view text, const std::vector<std::string_view>& candidates);

}  // namespace minibox::build
