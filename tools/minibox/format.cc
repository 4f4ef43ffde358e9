// SPDX-License-Identifier: Apache-2.0
#include "format.h"

#include <algorithm>
#include <utility>

#include "wire/text.h"

namespace minibox::cli {
namespace {

using wire::JsonType;
using wire::JsonValue;
using wire::StrCat;

constexpr size_t kMaxShown = 64;

Status Malformed(std::string_view what, std::string_view why) {
  return Status(StatusCode::kInvalidArgument,
                StrCat("--format: '", wire::EscapeControl(what.substr(0, kMaxShown)), "' ", why),
                {.reason = "usage"});
}

std::string Folded(std::string_view name) {
  std::string folded = wire::AsciiLower(name);
  std::erase(folded, '_');
  return folded;
}

JsonValue Find(JsonValue value, const std::vector<std::string>& path) {
  for (const std::string& name : path) {
    JsonValue next;
    for (const auto& [key, member] : value.Members()) {
      if (key == name || Folded(key) == Folded(name)) {
        next = member;
        break;
      }
    }
    value = std::move(next);
  }
  return value;
}

std::string Unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = text[i] == '\\' && i + 1 < text.size() ? text[i + 1] : '\0';
    if (next == 't' || next == 'n' || next == '\\') {
      out += next == 't' ? '\t' : next == 'n' ? '\n' : '\\';
      ++i;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool IsFieldChar(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         c == '-';
}

}  // namespace

StatusOr<Template> Template::Parse(std::string_view text) {
  Template result;
  while (!text.empty()) {
    const size_t open = text.find("{{");
    if (open != 0) {
      result.parts_.push_back({.text = Unescaped(text.substr(0, open))});
      if (open == text.npos) break;
      text.remove_prefix(open);
    }
    const size_t close = text.find("}}");
    if (close == text.npos) return Malformed(text, "lacks its '}}'");
    std::string_view inner = wire::TrimSpace(text.substr(2, close - 2));
    Part part{.field = true};
    if (inner.starts_with("json ")) {
      part.json = true;
      inner = wire::TrimSpace(inner.substr(5));
    }
    if (!inner.starts_with('.')) return Malformed(inner, "is no field: {{.Name}}");
    if (inner != ".") {
      for (const std::string_view name : wire::StrSplit(inner.substr(1), '.')) {
        if (name.empty() || !std::all_of(name.begin(), name.end(), IsFieldChar)) {
          return Malformed(inner, "is no field: {{.Name}}");
        }
        part.path.emplace_back(name);
      }
    }
    result.parts_.push_back(std::move(part));
    text.remove_prefix(close + 2);
  }
  return result;
}

std::string Template::Apply(const JsonValue& object) const {
  std::string out;
  for (const Part& part : parts_) {
    if (!part.field) {
      out += part.text;
      continue;
    }
    const JsonValue value = Find(object, part.path);
    if (part.json) {
      out += value.absent() ? "null" : value.Dump();
    } else if (value.type() == JsonType::kString) {
      out += wire::EscapeControl(*value.AsString());
    } else if (!value.empty()) {
      out += value.Dump();
    }
  }
  return out;
}

StatusOr<std::string> FormatRows(std::string_view text, std::string_view json) {
  const auto format = Template::Parse(text);
  if (!format.ok()) return format.status();
  const auto root = json::Parse(json, {.max_bytes = json.size()});
  if (!root.ok()) return root.status();
  std::vector<JsonValue> rows;
  if (root->type() == JsonType::kArray) {
    rows = root->Elements();
  } else {
    const auto members = root->Members();
    const bool is_map =
        !members.empty() && std::all_of(members.begin(), members.end(), [](const auto& member) {
          return member.second.type() == JsonType::kObject;
        });
    if (is_map) {
      for (const auto& [key, value] : members) rows.push_back(value);
    } else if (root->type() != JsonType::kObject || !members.empty()) {
      rows.push_back(*root);
    }
  }
  std::string out;
  for (const JsonValue& row : rows) out += format->Apply(row) + "\n";
  return out;
}

}  // namespace minibox::cli
