// SPDX-License-Identifier: Apache-2.0
#include "build/glob.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace minibox::build {
namespace {

// The code point at the front, or the byte if there is none; takes it away.
uint32_t TakeCodePoint(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t value = lead;
  if (length > 1 && length <= text.size()) {
    value = lead & (0xFFu >> (length + 1));
    for (size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(text[i]);
      if ((next & 0xC0) != 0x80) {
        text.remove_prefix(1);
        return lead;
      }
      value = value << 6 | (next & 0x3Fu);
    }
    text.remove_prefix(length);
    return value;
  }
  text.remove_prefix(1);
  return value;
}

// `pattern` is behind '['. Sets `matched` and takes the set away; false if it has no end, then
// the bracket is an ordinary character.
bool MatchSet(std::string_view& pattern, uint32_t c, bool& matched) {
  std::string_view rest = pattern;
  bool negated = false, found = false, first = true;
  if (!rest.empty() && (rest[0] == '!' || rest[0] == '^')) {
    negated = true;
    rest.remove_prefix(1);
  }
  while (!rest.empty() && (first || rest[0] != ']')) {
    first = false;
    if (rest[0] == '\\' && rest.size() > 1) rest.remove_prefix(1);
    const uint32_t low = TakeCodePoint(rest);
    uint32_t high = low;
    if (rest.size() > 1 && rest[0] == '-' && rest[1] != ']') {
      rest.remove_prefix(1);
      if (rest[0] == '\\' && rest.size() > 1) rest.remove_prefix(1);
      high = TakeCodePoint(rest);
    }
    found = found || (low <= c && c <= high);
  }
  if (rest.empty()) return false;
  rest.remove_prefix(1);
  pattern = rest;
  matched = found != negated;
  return true;
}

// One element of the pattern (not '*') against one character of the name; takes both away.
bool MatchOne(std::string_view& pattern, std::string_view& name) {
  const char head = pattern[0];
  if (head == '?') {
    pattern.remove_prefix(1);
    TakeCodePoint(name);
    return true;
  }
  if (head == '[') {
    std::string_view rest_of_pattern = pattern.substr(1), rest_of_name = name;
    const uint32_t c = TakeCodePoint(rest_of_name);
    bool matched = false;
    if (MatchSet(rest_of_pattern, c, matched)) {
      pattern = rest_of_pattern;
      name = rest_of_name;
      return matched;
    }
  }
  if (head == '\\' && pattern.size() > 1) pattern.remove_prefix(1);
  if (pattern[0] != name[0]) return false;
  pattern.remove_prefix(1);
  name.remove_prefix(1);
  return true;
}

}  // namespace

bool MatchComponent(std::string_view pattern, std::string_view name) {
  // Where to go on when a guess about the last '*' turns out wrong.
  std::string_view retry_pattern, retry_name;
  bool can_retry = false;
  while (true) {
    if (!pattern.empty() && pattern[0] == '*') {
      pattern.remove_prefix(1);
      retry_pattern = pattern;
      retry_name = name;
      can_retry = true;
      continue;
    }
    if (name.empty() && pattern.empty()) return true;
    if (!name.empty() && !pattern.empty() && MatchOne(pattern, name)) continue;
    if (!can_retry || retry_name.empty()) return false;
    TakeCodePoint(retry_name);
    pattern = retry_pattern;
    name = retry_name;
  }
}

bool MatchPath(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path) {
  // reach[i]: the pattern so far matches the first i components.
  std::vector<bool> reach(path.size() + 1, false);
  reach[0] = true;
  for (const auto& element : pattern) {
    if (element == "**") {
      for (size_t i = 1; i <= path.size(); ++i) {
        if (reach[i - 1]) reach[i] = true;
      }
      continue;
    }
    for (size_t i = path.size(); i > 0; --i) {
      reach[i] = reach[i - 1] && MatchComponent(element, path[i - 1]);
    }
    reach[0] = false;
  }
  return reach[path.size()];
}

bool IsGlob(std::string_view text) { return text.find_first_of("*?[") != text.npos; }

}  // namespace minibox::build
