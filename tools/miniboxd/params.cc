// SPDX-License-Identifier: Apache-2.0
#include "params.h"

#include <algorithm>
#include <utility>

#include "wire/text.h"
#include "wire/time.h"

namespace miniboxd {

using minibox::Status;
using minibox::StatusCode;
using minibox::wire::FieldReader;
using minibox::wire::InvalidField;
using minibox::wire::ParseInt64;
using minibox::wire::StrCat;

namespace {

constexpr size_t kMaxWarnings = 10;

}  // namespace

void WarnOfUnknown(Exchange& exchange, std::string_view what,
                   const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size() && i < kMaxWarnings; ++i) {
    exchange.AddWarning(StrCat("unknown ", what, ": ", names[i]));
  }
}

Params::Params(Exchange& exchange, minibox::wire::Strictness strictness, Body body)
    : exchange_(exchange) {
  Fail(Read(strictness, body));
}

Status Params::Read(minibox::wire::Strictness strictness, Body body) {
  auto pairs = ParseQuery(exchange_.head().query());
  if (!pairs) return minibox::wire::InvalidRequest("query", "malformed percent-encoding");
  for (auto& [name, value] : *pairs) {
    if (!minibox::wire::IsValidUtf8(name) || !minibox::wire::IsValidUtf8(value)) {
      return minibox::wire::InvalidRequest("query", "invalid UTF-8");
    }
    query_.push_back({std::move(name), std::move(value)});
  }
  if (body == Body::kNone || exchange_.head().method != "POST") return Status();
  const auto text = exchange_.ReadBody(kMaxJsonBody);
  if (!text.ok()) return text.status();
  if (minibox::wire::TrimSpace(*text).empty()) return Status();
  size_t end = 0;
  auto fields = FieldReader::Parse(*text, strictness, &end);
  if (!fields.ok()) return fields.status();
  fields_ = std::move(*fields);
  rest_ = text->substr(end);
  return Status();
}

void Params::Fail(Status status) {
  if (status_.ok()) status_ = std::move(status);
}

std::optional<std::string> Params::FromQuery(std::string_view name) {
  std::optional<std::string> value;
  for (QueryItem& item : query_) {
    if (item.name != name) continue;
    item.used = true;
    if (value) Fail(InvalidField(name, "given more than once"));
    value = item.value;
  }
  if (value && value->empty()) return std::nullopt;
  return value;
}

void Params::Text(std::string_view name, std::string* out) {
  if (fields_) fields_->Text(name, out);
  if (auto value = FromQuery(name)) {
    const Status checked = minibox::wire::CheckChars(name, *value, minibox::wire::Chars::kLine);
    if (!checked.ok()) return Fail(checked);
    *out = std::move(*value);
  }
}

void Params::Required(std::string_view name, std::string* out, std::string_view message) {
  Text(name, out);
  if (!out->empty() || (fields_ && !fields_->status().ok())) return;
  Fail(Status(StatusCode::kInvalidArgument,
              message.empty() ? StrCat("missing ", name) : std::string(message),
              {.reason = "missing_argument", .field = std::string(name)}));
}

void Params::Flag(std::string_view name, bool* out) {
  if (fields_) fields_->Bool(name, out);
  const auto value = FromQuery(name);
  if (!value) return;
  if (*value != "0" && *value != "1") return Fail(InvalidField(name, "must be 0 or 1"));
  *out = *value == "1";
}

void Params::OptionalFlag(std::string_view name, std::optional<bool>* out) {
  if (fields_) fields_->OptionalBool(name, out);
  const auto value = FromQuery(name);
  if (!value) return;
  if (*value != "0" && *value != "1") return Fail(InvalidField(name, "must be 0 or 1"));
  *out = *value == "1";
}

void Params::Int(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>* out) {
  if (fields_) fields_->OptionalInt(name, low, high, out);
  const auto value = FromQuery(name);
  if (!value) return;
  const auto number = ParseInt64(*value);
  if (!number || *number < low || *number > high) {
    return Fail(InvalidField(name, StrCat("must be ", low, " to ", high)));
  }
  *out = *number;
}

void Params::Time(std::string_view name, std::optional<minibox::TimePoint>* out) {
  std::string text;
  Text(name, &text);
  if (text.empty()) return;
  const auto time = minibox::wire::ParseTimeOrAgo(text, std::chrono::system_clock::now());
  if (time.ok()) {
    *out = *time;
  } else {
    Fail(InvalidField(name, time.status().message()));
  }
}

void Params::List(std::string_view name, std::vector<std::string>* out) {
  for (QueryItem& item : query_) {
    if (item.name != name) continue;
    item.used = true;
    if (!item.value.empty()) out->push_back(item.value);
  }
}

void Params::TextMap(std::string_view name, std::map<std::string, std::string>* out) {
  if (fields_) fields_->TextMap(name, out);
}

void Params::TextList(std::string_view name, std::vector<std::string>* out) {
  if (fields_) fields_->TextList(name, out);
}

void Params::Unsupported(std::string_view name) {
  if (fields_) fields_->Unsupported(name);
  const auto value = FromQuery(name);
  if (value && *value != "0") Fail(minibox::wire::NotSupported(name));
}

bool Params::Finish() {
  if (fields_) Fail(fields_->Finish());
  if (!status_.ok()) {
    exchange_.SendError(status_);
    return false;
  }
  std::vector<std::string> unknown;
  for (const QueryItem& item : query_) {
    if (!item.used) unknown.push_back(item.name);
  }
  WarnOfUnknown(exchange_, "parameter", unknown);
  if (fields_) WarnOfUnknown(exchange_, "field", fields_->Unknown());
  return true;
}

bool HasLabels(const std::map<std::string, std::string>& labels,
               const std::vector<std::string>& filters) {
  return std::all_of(filters.begin(), filters.end(), [&](const std::string& filter) {
    const size_t equals = filter.find('=');
    const auto found = labels.find(filter.substr(0, equals));
    return found != labels.end() &&
           (equals == std::string::npos || found->second == filter.substr(equals + 1));
  });
}

}  // namespace miniboxd
