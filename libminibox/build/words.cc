// SPDX-License-Identifier: Apache-2.0
#include "build/words.h"

#include <algorithm>
#include <utility>

#include "build/limits.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

bool IsNameStart(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsVariableChar(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }
bool IsNameChar(char c) { return IsVariableChar(c) || c == '.' || c == '-'; }

void AddText(std::vector<Word::Part>& parts, std::string_view text, bool quoted) {
  if (!parts.empty() && !parts.back().variable && parts.back().quoted == quoted) {
    parts.back().text += text;
  } else {
    parts.push_back({.quoted = quoted, .text = std::string(text)});
  }
}

}  // namespace

std::string Word::Text() const {
  std::string text;
  for (const auto& part : parts) {
    if (part.variable) text += "${";
    text += part.text;
    if (part.variable) text += '}';
  }
  return text;
}

Word Word::Of(std::string text, size_t offset) {
  Word word{.offset = offset};
  word.parts.push_back({.quoted = true, .text = std::move(text)});
  return word;
}

bool WordReader::Fail(size_t at, std::string message) {
  diagnostics_.Error(line_.At(at), std::move(message));
  failed_ = true;
  at_ = line_.text.size();
  return false;
}

std::string_view WordReader::rest() {
  while (IsBlank(Peek())) ++at_;
  return std::string_view(line_.text).substr(at_);
}

size_t WordReader::position() {
  (void)rest();  // for its effect
  return at_;
}

std::optional<Word> WordReader::Next() {
  if (failed_ || AtEnd()) return std::nullopt;
  return Read(false);
}

std::optional<Word> WordReader::Rest() {
  if (failed_ || AtEnd()) return std::nullopt;
  return Read(true);
}

std::optional<Word> WordReader::NextValue() {
  if (failed_) return std::nullopt;
  return Read(false);
}

std::optional<std::string> WordReader::NextAssignedName() {
  if (failed_) return std::nullopt;
  const std::string_view text = rest();
  if (text.empty() || !IsNameStart(text.front())) return std::nullopt;
  size_t end = 1;
  while (end < text.size() && IsNameChar(text[end])) ++end;
  if (end == text.size() || text[end] != '=') return std::nullopt;
  at_ += end + 1;
  return std::string(text.substr(0, end));
}

std::optional<WordReader::Option> WordReader::NextOption() {
  if (failed_) return std::nullopt;
  const std::string_view text = rest();
  if (!text.starts_with("--")) return std::nullopt;
  const size_t end = std::min(text.find_first_of("= \t"), text.size());
  Option option{.name = std::string(text.substr(2, end - 2)), .offset = line_.At(at_)};
  option.has_value = end < text.size() && text[end] == '=';
  at_ += end + (option.has_value ? 1 : 0);
  return option;
}

std::optional<Word> WordReader::Read(bool to_line_end) {
  Word word{.offset = line_.At(at_)};
  if (!ReadParts(word.parts, false, to_line_end, 0)) return std::nullopt;
  return word;
}

bool WordReader::ReadParts(std::vector<Word::Part>& parts, bool in_braces, bool to_line_end,
                           int depth) {
  while (at_ < line_.text.size()) {
    const char c = Peek();
    if (in_braces ? c == '}' : IsBlank(c) && !to_line_end) return true;
    if (c == '\'') {
      const size_t close = line_.text.find('\'', at_ + 1);
      if (close == std::string::npos) return Fail(at_, "unterminated quote");
      AddText(parts, std::string_view(line_.text).substr(at_ + 1, close - at_ - 1), true);
      at_ = close + 1;
    } else if (c == '"') {
      if (!ReadDoubleQuoted(parts, depth)) return false;
    } else if (c == '\\' && at_ + 1 < line_.text.size()) {
      AddText(parts, std::string_view(line_.text).substr(at_ + 1, 1), true);
      at_ += 2;
    } else if (c == '$' && variables_ == Variables::kExpanded) {
      if (!ReadVariable(parts, false, depth)) return false;
    } else {
      AddText(parts, std::string_view(line_.text).substr(at_, 1), false);
      ++at_;
    }
  }
  return true;
}

bool WordReader::ReadDoubleQuoted(std::vector<Word::Part>& parts, int depth) {
  const size_t open = at_++;
  AddText(parts, "", true);
  while (at_ < line_.text.size()) {
    const char c = Peek();
    if (c == '"') {
      ++at_;
      return true;
    }
    const char next = Peek(1);
    if (c == '\\' && (next == '"' || next == '\\' || next == '$')) {
      AddText(parts, std::string_view(&next, 1), true);
      at_ += 2;
    } else if (c == '$' && variables_ == Variables::kExpanded) {
      if (!ReadVariable(parts, true, depth)) return false;
    } else {
      AddText(parts, std::string_view(&c, 1), true);
      ++at_;
    }
  }
  return Fail(open, "unterminated quote");
}

bool WordReader::ReadVariable(std::vector<Word::Part>& parts, bool quoted, int depth) {
  const size_t dollar = at_++;
  Word::Part part{.variable = true, .quoted = quoted, .offset = line_.At(dollar)};
  if (Peek() == '{') {
    if (depth == kMaxNesting) return Fail(dollar, "variables are nested more than 32 deep");
    if (!ReadBraced(part, depth + 1)) return false;
  } else if (IsNameStart(Peek())) {
    while (IsVariableChar(Peek())) part.text += line_.text[at_++];
  } else {
    AddText(parts, "$", quoted);
    return true;
  }
  parts.push_back(std::move(part));
  return true;
}

// `at_` is on the opening brace.
bool WordReader::ReadBraced(Word::Part& part, int depth) {
  const size_t dollar = at_++ - 1;
  if (!IsNameStart(Peek())) return Fail(dollar, "a variable's name is missing after '${'");
  while (IsVariableChar(Peek()) || Peek() == '.') part.text += line_.text[at_++];
  if (Peek() == '}') {
    ++at_;
    return true;
  }
  part.or_empty = Peek() == ':';
  if (part.or_empty) ++at_;
  part.operation = Peek();
  const bool known =
      part.operation == '-' || part.operation == '+' || (part.operation == '?' && part.or_empty);
  if (at_ >= line_.text.size()) return Fail(dollar, "unterminated '${'");
  if (!known) return Fail(dollar, "malformed variable: expected '}', ':-', '-', ':+', '+' or ':?'");
  ++at_;
  if (!ReadParts(part.alternative, true, false, depth)) return false;
  if (Peek() != '}') return Fail(dollar, "unterminated '${'");
  ++at_;
  return true;
}

}  // namespace minibox::build
