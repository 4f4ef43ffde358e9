// SPDX-License-Identifier: Apache-2.0
// Output of a step as lines of the log (spec §8.8).
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace minibox::build {

// LF, CR and CR LF end a line; a line is split at 64 KiB; no byte is lost. An empty line that
// ends in CR alone (a progress bar's) is none.
class OutputLines {
 public:
  using LineFn = std::function<void(std::string_view line)>;
  explicit OutputLines(LineFn sink) : sink_(std::move(sink)) {}
  void Add(std::string_view bytes);
  // The last line, if it had no end.
  void Finish();

 private:
  void Emit();
  LineFn sink_;
  std::string line_;
  bool after_cr_ = false;
};

// Begins with "[word] ", so that it is not prefixed again.
bool HasOwnPrefix(std::string_view line);

}  // namespace minibox::build
