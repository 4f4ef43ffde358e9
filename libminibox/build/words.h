// SPDX-License-Identifier: Apache-2.0
// Words of a line: quotes and variables as in a POSIX shell (spec §7.1).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "build/diagnostics.h"
#include "build/lines.h"

namespace minibox::build {

struct Word {
  struct Part {
    bool variable = false;
    bool quoted = false;
    std::string text{};               // what it is, or the variable's name
    char operation = 0;               // of ${N:-w}: '-', '+', '?'; 0: plain
    bool or_empty = false;            // with ':': an empty value counts as unset
    std::vector<Part> alternative{};  // w
    size_t offset = 0;                // of the variable, in the source
  };
  std::vector<Part> parts{};
  size_t offset = 0;  // in the source

  // The text, variables by name.
  std::string Text() const;
  // A word that is `text` and nothing else.
  static Word Of(std::string text, size_t offset);
};

// Reads the words of `line` from an offset in its text on. Errors go to `diagnostics` and end
// the words. Both arguments are borrowed.
class WordReader {
 public:
  enum class Variables { kExpanded, kLiteral };
  WordReader(const Line& line, size_t begin, Variables variables, Diagnostics& diagnostics)
      : line_(line), at_(begin), variables_(variables), diagnostics_(diagnostics) {}

  // nullopt at the end, or after an error.
  std::optional<Word> Next();
  // The same up to the end of the line, blanks included.
  std::optional<Word> Rest();
  // "NAME=word": reads the name and leaves the reader behind '='; nullopt if that does not
  // stand here, then nothing is read.
  std::optional<std::string> NextAssignedName();
  // The value behind '='; empty if a blank follows.
  std::optional<Word> NextValue();

  // "--name" or "--name=": reads that and leaves the reader behind it; nullopt if no option
  // stands here.
  struct Option {
    std::string name{};  // without dashes
    size_t offset = 0;   // in the source
    bool has_value = false;
  };
  std::optional<Option> NextOption();

  // Of the next word, in the line's text.
  size_t position();
  std::string_view rest();
  bool AtEnd() { return rest().empty(); }
  bool failed() const { return failed_; }

 private:
  std::optional<Word> Read(bool to_line_end);
  bool ReadParts(std::vector<Word::Part>& parts, bool in_braces, bool to_line_end, int depth);
  bool ReadDoubleQuoted(std::vector<Word::Part>& parts, int depth);
  bool ReadVariable(std::vector<Word::Part>& parts, bool quoted, int depth);
  bool ReadBraced(Word::Part& part, int depth);
  bool Fail(size_t at, std::string message);
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < line_.text.size() ? line_.text[at_ + ahead] : '\0';
  }

  const Line& line_;
  size_t at_;
  Variables variables_;
  Diagnostics& diagnostics_;
  bool failed_ = false;
};

}  // namespace minibox::build
