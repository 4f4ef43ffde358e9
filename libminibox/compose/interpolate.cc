// SPDX-License-Identifier: Apache-2.0
#include "compose/interpolate.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

using core::StrCat;

constexpr int kMaxNesting = 20;

bool IsNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsNameChar(char c) { return IsNameStart(c) || (c >= '0' && c <= '9'); }

Status Malformed(std::string message) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_compose_file", std::move(message));
}

class Interpolator {
 public:
  Interpolator(const Lookup& lookup, std::vector<std::string>* unset)
      : lookup_(lookup), unset_(unset) {}

  StatusOr<std::string> Expand(std::string_view text, int depth) {
    if (depth > kMaxNesting) return Malformed("variables are nested too deeply");
    std::string out;
    for (size_t at = 0; at < text.size();) {
      const size_t dollar = text.find('$', at);
      out += text.substr(at, dollar - at);
      if (dollar == text.npos) break;
      at = dollar + 1;
      const char next = at < text.size() ? text[at] : '\0';
      if (next == '$') {
        out += '$';
        ++at;
      } else if (next == '{') {
        const size_t end = Closing(text, at + 1);
        if (end == text.npos) return Malformed("'${' without '}'");
        MBX_ASSIGN_OR_RETURN(const std::string value,
                             Braced(text.substr(at + 1, end - at - 1), depth));
        out += value;
        at = end + 1;
      } else if (IsNameStart(next)) {
        const size_t begin = at;
        while (at < text.size() && IsNameChar(text[at])) ++at;
        out += ValueOrEmpty(std::string(text.substr(begin, at - begin)));
      } else {
        return Malformed("'$' before no name; write '$$' for a dollar sign");
      }
    }
    return out;
  }

 private:
  static size_t Closing(std::string_view text, size_t at) {
    int open = 1;
    for (; at < text.size(); ++at) {
      if (text[at] == '$' && at + 1 < text.size() && text[at + 1] == '{') ++open;
      if (text[at] == '}' && --open == 0) return at;
    }
    return text.npos;
  }

  std::string ValueOrEmpty(const std::string& name) {
    auto value = lookup_(name);
    if (value) return *value;
    if (unset_ != nullptr) unset_->push_back(name);
    return "";
  }

  StatusOr<std::string> Braced(std::string_view inside, int depth) {
    size_t end = 0;
    while (end < inside.size() && IsNameChar(inside[end])) ++end;
    const std::string name(inside.substr(0, end));
    if (name.empty() || !IsNameStart(name[0])) {
      return Malformed(StrCat("'${", core::EscapeControl(inside), "}' names no variable"));
    }
    std::string_view rest = inside.substr(end);
    if (rest.empty()) return ValueOrEmpty(name);
    const bool or_empty = rest.front() == ':';
    if (or_empty) rest.remove_prefix(1);
    const char what = rest.empty() ? '\0' : rest.front();
    if (what != '-' && what != '?' && what != '+') {
      return Malformed(
          StrCat("'${", core::EscapeControl(inside), "}' is not a form of a variable"));
    }
    const std::string_view word = rest.substr(1);
    const auto value = lookup_(name);
    const bool has = value && !(or_empty && value->empty());
    if (what == '+') return has ? Expand(word, depth + 1) : StatusOr<std::string>(std::string());
    if (has) return *value;
    if (what == '-') return Expand(word, depth + 1);
    MBX_ASSIGN_OR_RETURN(const std::string message, Expand(word, depth + 1));
    return Malformed(StrCat("variable ", name, " is not set",
                            message.empty() ? "" : StrCat(": ", core::EscapeControl(message))));
  }

  const Lookup& lookup_;
  std::vector<std::string>* const unset_;
};

// The value of a line behind "=": quotes, comment, variables.
StatusOr<std::string> EnvValue(std::string_view text, const Lookup& lookup) {
  text = core::TrimSpace(text);
  if (text.starts_with('\'')) {
    const size_t end = text.find('\'', 1);
    if (end == text.npos) return Malformed("' without end");
    return std::string(text.substr(1, end - 1));
  }
  if (text.starts_with('"')) {
    std::string value;
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] == '"') return Interpolator(lookup, nullptr).Expand(value, 0);
      if (text[i] != '\\' || i + 1 == text.size()) {
        value += text[i];
        continue;
      }
      switch (text[++i]) {
        case 'n':
          value += '\n';
          break;
        case 't':
          value += '\t';
          break;
        case '$':
          value += "$$";
          break;
        case '"':
        case '\\':
          value += text[i];
          break;
        default:
          value += {'\\', text[i]};
      }
    }
    return Malformed("\" without end");
  }
  if (const size_t comment = text.find(" #"); comment != text.npos) text = text.substr(0, comment);
  return Interpolator(lookup, nullptr).Expand(core::TrimSpace(text), 0);
}

}  // namespace

StatusOr<std::string> Interpolate(std::string_view text, const Lookup& lookup,
                                  std::vector<std::string>* unset) {
  return Interpolator(lookup, unset).Expand(text, 0);
}

std::string EscapeDollars(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '$') out += c;
  }
  return out;
}

StatusOr<Variables> ParseEnvFile(std::string_view text, std::string_view file,
                                 const Lookup& lookup) {
  Variables variables;
  const Lookup with_own = [&](const std::string& name) -> std::optional<std::string> {
    if (auto outside = lookup(name)) return outside;
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  size_t number = 0;
  for (std::string_view line : core::StrSplit(text, '\n')) {
    ++number;
    line = core::TrimSpace(line);
    if (line.empty() || line.front() == '#') continue;
    constexpr std::string_view kExport = "export ";
    if (line.starts_with(kExport)) line = core::TrimSpace(line.substr(kExport.size()));
    const size_t equals = line.find('=');
    const std::string key(core::TrimSpace(line.substr(0, equals)));
    if (key.empty() || key.find_first_of(" \t\"'") != key.npos) {
      return Malformed(StrCat(file, ":", number, ": is not KEY=value"));
    }
    if (equals == line.npos) {
      if (auto value = lookup(key)) variables[key] = std::move(*value);
      continue;
    }
    auto value = EnvValue(line.substr(equals + 1), with_own);
    if (!value.ok()) return value.status().WithContext(StrCat(file, ":", number));
    variables[key] = std::move(*value);
  }
  return variables;
}

StatusOr<std::vector<std::string>> SplitWords(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == ' ' || c == '\t' || c == '\n') {
      if (in_word) words.push_back(std::exchange(word, ""));
      in_word = false;
      continue;
    }
    in_word = true;
    if (c == '\'' || c == '"') {
      const size_t begin = i++;
      while (i < text.size() && text[i] != c) {
        if (c == '"' && text[i] == '\\' && i + 1 < text.size() &&
            (text[i + 1] == '"' || text[i + 1] == '\\')) {
          ++i;
        }
        word += text[i++];
      }
      if (i == text.size()) return Malformed(StrCat(text.substr(begin, 1), " without end"));
    } else if (c == '\\' && i + 1 < text.size()) {
      word += text[++i];
    } else {
      word += c;
    }
  }
  if (in_word) words.push_back(std::move(word));
  return words;
}

}  // namespace minibox::compose
