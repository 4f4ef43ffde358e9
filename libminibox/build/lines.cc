// SPDX-License-Identifier: Apache-2.0
#include "build/lines.h"

#include <algorithm>

#include "build/heredoc.h"
#include "build/json_form.h"
#include "build/limits.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

std::string_view TrimEnd(std::string_view line) {
  while (!line.empty() && (IsBlank(line.back()) || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

std::string_view Trim(std::string_view line) {
  line = TrimEnd(line);
  while (!line.empty() && IsBlank(line.front())) line.remove_prefix(1);
  return line;
}

bool EndsInContinuation(std::string_view line) {
  size_t backslashes = 0;
  while (backslashes < line.size() && line[line.size() - 1 - backslashes] == '\\') ++backslashes;
  return backslashes % 2 == 1;
}

// Where the shell text of a RUN line begins: after the keyword and the options.
size_t ShellTextBegin(std::string_view text) {
  size_t at = std::min(text.find_first_of(" \t"), text.size());
  while (true) {
    while (at < text.size() && IsBlank(text[at])) ++at;
    if (!text.substr(at).starts_with("--")) return at;
    while (at < text.size() && !IsBlank(text[at])) {
      const char c = text[at++];
      if (c == '\\' && at < text.size()) {
        ++at;
      } else if (c == '\'' || c == '"') {
        while (at < text.size() && text[at] != c) at += c == '"' && text[at] == '\\' ? 2 : 1;
        at = std::min(at + 1, text.size());
      }
    }
  }
}

class Splitter {
 public:
  Splitter(std::string_view source, Diagnostics& diagnostics)
      : source_(source), diagnostics_(diagnostics) {}

  std::vector<Line> Run() {
    std::vector<Line> lines;
    while (at_ < source_.size()) {
      Line line;
      if (!ReadLogical(line)) continue;
      ReadHeredocs(line);
      lines.push_back(std::move(line));
    }
    return lines;
  }

 private:
  struct Physical {
    std::string_view text;  // without its end
    size_t offset;
  };

  Physical Next() {
    const size_t begin = at_;
    const size_t end = std::min(source_.find('\n', begin), source_.size());
    at_ = end < source_.size() ? end + 1 : end;
    return {source_.substr(begin, end - begin), begin};
  }

  static bool IsIgnored(std::string_view trimmed) {
    return trimmed.empty() || trimmed.front() == '#';
  }

  // False if there was nothing but a blank line or a comment.
  bool ReadLogical(Line& line) {
    const Physical first = Next();
    const std::string_view trimmed = Trim(first.text);
    if (IsIgnored(trimmed)) return false;
    line.indented = IsBlank(first.text.front());
    size_t offset = first.offset + static_cast<size_t>(trimmed.data() - first.text.data());
    std::string_view piece = trimmed;
    while (true) {
      const bool goes_on = EndsInContinuation(piece);
      if (goes_on) piece.remove_suffix(1);
      line.joints.emplace_back(line.text.size(), offset);
      line.text += piece;
      if (!goes_on) break;
      bool found = false;
      while (!found && at_ < source_.size()) {
        const Physical next = Next();
        if (IsIgnored(Trim(next.text))) continue;
        found = true;
        piece = TrimEnd(next.text);
        offset = next.offset;
      }
      if (!found) break;
    }
    if (line.text.size() > kMaxLineBytes) {
      diagnostics_.Error(line.joints.front().second, "line is longer than the limit of 1 MiB");
      line.text.clear();
    }
    return !line.text.empty();
  }

  void ReadHeredocs(Line& line) {
    const std::string_view keyword = line.Keyword();
    if (!core::EqualsIgnoreCase(keyword, "RUN") &&
        !core::EqualsIgnoreCase(keyword, "RUN-COMMAND")) {
      return;
    }
    const size_t begin = ShellTextBegin(line.text);
    const std::string_view shell_text = std::string_view(line.text).substr(begin);
    if (IsJsonForm(shell_text)) return;
    for (const auto& start : FindHeredocs(shell_text)) {
      if (!ReadHeredoc(start, line)) {
        diagnostics_.Error(line.At(begin + start.begin),
                           core::StrCat("no line ends the here-document ", Quoted(start.marker)));
        return;
      }
    }
  }

  bool ReadHeredoc(const HeredocStart& start, Line& line) {
    std::vector<std::string_view> body;
    while (at_ < source_.size()) {
      std::string_view text = Next().text;
      if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
      const std::string_view trimmed = Trim(text);
      if (trimmed != start.marker) {
        body.push_back(text);
        continue;
      }
      const std::string_view indent =
          text.substr(0, static_cast<size_t>(trimmed.data() - text.data()));
      Heredoc heredoc{.marker = start.marker};
      for (const auto& body_line : body) {
        heredoc.body += UnindentBodyLine(body_line, indent, start.strip_tabs);
        heredoc.body += '\n';
      }
      line.heredocs.push_back(std::move(heredoc));
      return true;
    }
    return false;
  }

  std::string_view source_;
  Diagnostics& diagnostics_;
  size_t at_ = 0;
};

// Length of the UTF-8 sequence at the front of `text`, 0 if there is none.
size_t SequenceLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
  if (length > text.size() || !core::IsValidUtf8(text.substr(0, length))) return 0;
  return length;
}

// Offset of the first byte that may not be there, or the size.
size_t FirstBadByte(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == '\0') return at;
    if (static_cast<unsigned char>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    const size_t length = SequenceLength(text.substr(at));
    if (length == 0) return at;
    at += length;
  }
  return at;
}

}  // namespace

size_t Line::At(size_t offset) const {
  auto joint = std::upper_bound(
      joints.begin(), joints.end(), offset,
      [](size_t value, const std::pair<size_t, size_t>& entry) { return value < entry.first; });
  if (joint != joints.begin()) --joint;
  return joint->second + (offset - joint->first);
}

std::string_view Line::Keyword() const {
  return std::string_view(text).substr(0, text.find_first_of(" \t"));
}

std::string_view WithoutBom(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

std::vector<Line> SplitLines(std::string_view source, Diagnostics& diagnostics) {
  if (source.size() > kMaxFileBytes) {
    diagnostics.Error(0, "the file is longer than the limit of 16 MiB");
    return {};
  }
  if (const size_t bad = FirstBadByte(source); bad < source.size()) {
    diagnostics.Error(bad, source[bad] == '\0' ? "a NUL byte" : "invalid UTF-8");
    return {};
  }
  return Splitter(source, diagnostics).Run();
}

}  // namespace minibox::build
