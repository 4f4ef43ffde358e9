// SPDX-License-Identifier: Apache-2.0
#include "build/output_lines.h"

#include <algorithm>

#include "build/limits.h"

namespace minibox::build {

void OutputLines::Emit() {
  sink_(line_);
  line_.clear();
}

void OutputLines::Add(std::string_view bytes) {
  while (!bytes.empty()) {
    if (after_cr_) {
      after_cr_ = false;
      const bool is_crlf = bytes.front() == '\n';
      if (is_crlf || !line_.empty()) Emit();
      if (is_crlf) {
        bytes.remove_prefix(1);
        continue;
      }
    }
    const size_t room = kMaxOutputLine - line_.size();
    const size_t end = std::min({bytes.find_first_of("\r\n"), bytes.size(), room});
    line_ += bytes.substr(0, end);
    bytes.remove_prefix(end);
    if (bytes.empty()) break;
    if (bytes.front() == '\r') {
      after_cr_ = true;
      bytes.remove_prefix(1);
    } else if (bytes.front() == '\n') {
      Emit();
      bytes.remove_prefix(1);
    } else {
      Emit();  // the line is full
    }
  }
}

void OutputLines::Finish() {
  if (!line_.empty()) Emit();
  after_cr_ = false;
}

bool HasOwnPrefix(std::string_view line) {
  if (!line.starts_with('[')) return false;
  const size_t close = line.find(']');
  if (close == line.npos || close == 1 || close + 1 >= line.size() || line[close + 1] != ' ') {
    return false;
  }
  return std::all_of(line.begin() + 1, line.begin() + static_cast<std::ptrdiff_t>(close),
                     [](char c) {
                       return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                              (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
                     });
}

}  // namespace minibox::build
