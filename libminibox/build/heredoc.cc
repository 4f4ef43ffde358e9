// SPDX-License-Identifier: Apache-2.0
#include "build/heredoc.h"

namespace minibox::build {
namespace {

bool IsMarkerStart(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_'; }
bool IsMarkerChar(char c) { return IsMarkerStart(c) || (c >= '0' && c <= '9'); }

// Past the quote that opens at `at`, or the end.
size_t SkipQuoted(std::string_view text, size_t at) {
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) {
    at += quote == '"' && text[at] == '\\' ? 2 : 1;
  }
  return at < text.size() ? at + 1 : text.size();
}

// `at` is after "<<".
bool ParseStart(std::string_view text, size_t at, HeredocStart& start) {
  start.strip_tabs = at < text.size() && text[at] == '-';
  if (start.strip_tabs) ++at;
  char quote = 0;
  if (at < text.size() && (text[at] == '\'' || text[at] == '"')) quote = text[at++];
  if (at >= text.size() || !IsMarkerStart(text[at])) return false;
  const size_t begin = at;
  while (at < text.size() && IsMarkerChar(text[at])) ++at;
  start.marker = text.substr(begin, at - begin);
  if (quote != 0) {
    if (at >= text.size() || text[at] != quote) return false;
    ++at;
  }
  start.end = at;
  return true;
}

}  // namespace

std::vector<HeredocStart> FindHeredocs(std::string_view text) {
  std::vector<HeredocStart> found;
  size_t at = 0;
  int arithmetic = 0;  // open parentheses since "$(("
  while (at < text.size()) {
    const char c = text[at];
    if (c == '\\') {
      at += 2;
    } else if (c == '\'' || c == '"') {
      at = SkipQuoted(text, at);
    } else if (arithmetic > 0) {
      if (c == '(') ++arithmetic;
      if (c == ')') --arithmetic;
      ++at;
    } else if (text.substr(at).starts_with("$((")) {
      arithmetic = 2;
      at += 3;
    } else if (text.substr(at).starts_with("<<<")) {
      at += 3;
    } else if (text.substr(at).starts_with("<<")) {
      HeredocStart start{.begin = at};
      if (ParseStart(text, at + 2, start)) {
        at = start.end;
        found.push_back(std::move(start));
      } else {
        at += 2;
      }
    } else {
      ++at;
    }
  }
  return found;
}

std::string_view UnindentBodyLine(std::string_view line, std::string_view indent, bool strip_tabs) {
  size_t shared = 0;
  while (shared < line.size() && shared < indent.size() && line[shared] == indent[shared]) {
    ++shared;
  }
  line.remove_prefix(shared);
  if (strip_tabs) {
    while (!line.empty() && line.front() == '\t') line.remove_prefix(1);
  }
  return line;
}

}  // namespace minibox::build
