// SPDX-License-Identifier: Apache-2.0
#include "wire/fields.h"

#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::wire {
namespace {

constexpr int kMaxDepth = 64;

// "expected a string" out of "$.name: expected a string": our errors name the field themselves.
std::string Reason(const Status& status) {
  const std::string& message = status.message();
  const size_t colon = message.find(": ");
  if (!message.starts_with("$") || colon == std::string::npos) return message;
  return message.substr(colon + 2);
}

}  // namespace

Status InvalidRequest(std::string_view field, std::string_view why) {
  return core::InvalidArgument(field, why)
      .WithContext("Invalid request")
      .WithReason("invalid_request");
}

Status InvalidField(std::string_view field, std::string_view why) {
  return core::InvalidArgument(field, why);
}

Status NotSupported(std::string_view field) {
  return core::InvalidArgument(field, "not supported by this version");
}

std::string EntryName(std::string_view field, std::string_view key) {
  return core::StrCat(field, "[\"", core::EscapeControl(key), "\"]");
}

std::string EntryName(std::string_view field, size_t index) {
  return core::StrCat(field, "[", index, "]");
}

Status CheckChars(std::string_view field, std::string_view text, Chars chars) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return InvalidField(field, "must not contain NUL");
    if (chars == Chars::kLine && (byte < 0x20 || byte == 0x7f)) {
      return InvalidField(field, "must not contain control characters");
    }
  }
  return Status();
}

bool IsZero(const json::Value& value) {
  switch (value.type()) {
    case json::Type::kAbsent:
    case json::Type::kNull:
      return true;
    case json::Type::kBool:
      return !*value.AsBool();
    case json::Type::kNumber:
      return *value.AsDouble() == 0;
    case json::Type::kString:
      return value.AsString()->empty();
    case json::Type::kArray:
    case json::Type::kObject:
      return value.size() == 0;
  }
  return false;
}

StatusOr<FieldReader> FieldReader::Parse(std::string_view body, Strictness strictness,
                                         size_t* end) {
  size_t offset = 0;
  json::ParseLimits limits{.max_bytes = body.size(), .max_depth = kMaxDepth};
  if (strictness == Strictness::kPublished || end != nullptr) limits.end = &offset;
  const auto document = json::Parse(body, limits);
  if (!document.ok()) {
    const std::string& field = document.status().field();
    return InvalidRequest(field.empty() ? "body" : field, Reason(document.status()));
  }
  if (end != nullptr) *end = offset;
  if (document->type() != json::Type::kObject) {
    return InvalidRequest("body", "expected a JSON object");
  }
  FieldReader reader;
  reader.strictness_ = strictness;
  for (auto& [name, value] : document->Members()) {
    reader.members_.push_back({name, std::move(value)});
  }
  return reader;
}

json::Value FieldReader::Find(std::string_view name) {
  if (!status_.ok()) return {};
  // {"image":…,"IMAGE":…} names one field twice just as a repeated key does.
  Member* found = nullptr;
  for (Member& member : members_) {
    if (!core::EqualsIgnoreCase(member.name, name)) continue;
    member.used = true;
    if (found != nullptr) {
      Fail(InvalidRequest(name, "duplicate key"));
      return {};
    }
    found = &member;
  }
  return found == nullptr ? json::Value() : found->value;
}

void FieldReader::Fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

json::Value FieldReader::Raw(std::string_view name) { return Find(name); }

void FieldReader::Text(std::string_view name, std::string* out, Chars chars) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  auto text = value.AsString();
  if (!text.ok()) return Fail(InvalidRequest(name, Reason(text.status())));
  Status checked = CheckChars(name, *text, chars);
  if (!checked.ok()) return Fail(std::move(checked));
  if (!text->empty()) *out = std::move(*text);
}

void FieldReader::TextList(std::string_view name, std::vector<std::string>* out, Chars chars) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  if (value.type() != json::Type::kArray) {
    return Fail(InvalidRequest(name, "expected an array of strings"));
  }
  std::vector<std::string> list;
  for (const json::Value& element : value.Elements()) {
    const std::string entry = EntryName(name, list.size());
    auto text = element.AsString();
    if (!text.ok()) return Fail(InvalidRequest(entry, Reason(text.status())));
    Status checked = CheckChars(entry, *text, chars);
    if (!checked.ok()) return Fail(std::move(checked));
    list.push_back(std::move(*text));
  }
  if (!list.empty()) *out = std::move(list);
}

void FieldReader::TextMap(std::string_view name, std::map<std::string, std::string>* out) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  if (value.type() != json::Type::kObject) {
    return Fail(InvalidRequest(name, "expected an object of strings"));
  }
  std::map<std::string, std::string> map;
  for (auto& [key, element] : value.Members()) {
    const std::string entry = EntryName(name, key);
    auto text = element.AsString();
    if (!text.ok()) return Fail(InvalidRequest(entry, Reason(text.status())));
    Status checked = CheckChars(entry, key, Chars::kLine);
    if (checked.ok()) checked = CheckChars(entry, *text, Chars::kText);
    if (!checked.ok()) return Fail(std::move(checked));
    map[key] = std::move(*text);
  }
  if (!map.empty()) *out = std::move(map);
}

void FieldReader::ListMap(std::string_view name,
                          std::vector<std::pair<std::string, std::vector<std::string>>>* out) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  if (value.type() != json::Type::kObject) {
    return Fail(InvalidRequest(name, "expected an object"));
  }
  for (auto& [key, element] : value.Members()) {
    const std::string entry = EntryName(name, key);
    std::vector<std::string> list;
    if (element.type() == json::Type::kString) {
      list.push_back(*element.AsString());
    } else {
      auto strings = element.AsStringArray();
      if (!strings.ok()) {
        return Fail(InvalidRequest(entry, "expected a string or an array of strings"));
      }
      list = std::move(*strings);
    }
    Status checked = CheckChars(entry, key, Chars::kLine);
    for (const std::string& text : list) {
      if (checked.ok()) checked = CheckChars(entry, text, Chars::kLine);
    }
    if (!checked.ok()) return Fail(std::move(checked));
    out->emplace_back(key, std::move(list));
  }
}

void FieldReader::Bool(std::string_view name, bool* out) {
  std::optional<bool> value;
  OptionalBool(name, &value);
  if (value.has_value() && *value) *out = true;
}

void FieldReader::OptionalBool(std::string_view name, std::optional<bool>* out) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  const auto flag = value.AsBool();
  if (!flag.ok()) return Fail(InvalidRequest(name, Reason(flag.status())));
  *out = *flag;
}

void FieldReader::Int(std::string_view name, int64_t low, int64_t high, int64_t* out) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  const auto number = value.AsInt();
  if (!number.ok()) return Fail(InvalidRequest(name, Reason(number.status())));
  if (*number == 0) return;
  if (*number < low || *number > high) {
    return Fail(InvalidField(name, core::StrCat("must be ", low, " to ", high)));
  }
  *out = *number;
}

void FieldReader::OptionalInt(std::string_view name, int64_t low, int64_t high,
                              std::optional<int64_t>* out) {
  const json::Value value = Find(name);
  if (value.empty()) return;
  const auto number = value.AsInt();
  if (!number.ok()) return Fail(InvalidRequest(name, Reason(number.status())));
  if (*number < low || *number > high) {
    return Fail(InvalidField(name, core::StrCat("must be ", low, " to ", high)));
  }
  *out = *number;
}

void FieldReader::Unsupported(std::string_view name) {
  const json::Value value = Find(name);
  if (!IsZero(value)) Fail(NotSupported(name));
}

std::vector<std::string> FieldReader::Unknown() const {
  std::vector<std::string> names;
  for (const Member& member : members_) {
    if (!member.used) names.push_back(core::EscapeControl(member.name));
  }
  return names;
}

Status FieldReader::Finish() const {
  MBX_RETURN_IF_ERROR(status_);
  if (strictness_ == Strictness::kPublished) return Status();
  const std::vector<std::string> unknown = Unknown();
  return unknown.empty() ? Status() : InvalidRequest(unknown.front(), "unknown field");
}

}  // namespace minibox::wire
