// SPDX-License-Identifier: Apache-2.0
// The logical lines of a MiniBox file (spec §7.1): continuations joined, blank lines and
// comments gone, the bodies of here-documents taken out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "build/diagnostics.h"

namespace minibox::build {

struct Heredoc {
  std::string marker{};  // W
  std::string body{};    // each line with its end
};

struct Line {
  std::string text{};     // without indentation
  bool indented = false;  // does not start in column 1
  // Where the physical lines begin: (offset in `text`, offset in the source).
  std::vector<std::pair<size_t, size_t>> joints{};
  std::vector<Heredoc> heredocs{};  // in order

  // Offset in the source of an offset in `text`.
  size_t At(size_t offset) const;
  // The first word, as written.
  std::string_view Keyword() const;
};

// `source` without its BOM. Bytes that are no text, an endless here-document and a line that
// is too long are errors; what can be read is returned nevertheless.
std::vector<Line> SplitLines(std::string_view source, Diagnostics& diagnostics);

// The text without a leading byte order mark.
std::string_view WithoutBom(std::string_view text);

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

}  // namespace minibox::build
