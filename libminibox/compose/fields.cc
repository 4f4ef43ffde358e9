// SPDX-License-Identifier: Apache-2.0
#include "compose/fields.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

using core::StrCat;

constexpr double kMaxBytes = 1e18;

std::optional<double> ParseNumber(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

std::optional<int64_t> UnitOf(std::string_view suffix) {
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"b", 1},         {"k", 1 << 10},   {"kb", 1 << 10},         {"m", 1 << 20},
      {"mb", 1 << 20},  {"g", 1 << 30},   {"gb", 1 << 30},         {"kib", 1 << 10},
      {"mib", 1 << 20}, {"gib", 1 << 30}, {"t", int64_t{1} << 40}, {"tb", int64_t{1} << 40},
  };
  for (const auto& [name, unit] : kUnits) {
    if (name == suffix) return unit;
  }
  return std::nullopt;
}

}  // namespace

Status Fields::Expected(std::string_view key, const Node& node, std::string_view what) const {
  const std::string is = node.kind == Node::Kind::kScalar
                             ? StrCat("'", core::EscapeControl(node.text), "'")
                             : std::string(node.KindName());
  return Error(node.at, StrCat(key, " must be ", what, ", not ", is));
}

void Fields::Warn(Position at, std::string_view message) const {
  warnings_->push_back(ErrorAt(file_, at, message).message());
}

void Fields::WarnUnknown(const Node& map, std::string_view where,
                         const std::vector<std::string_view>& known) const {
  for (const Member& member : map.members) {
    if (member.key.starts_with("x-") ||
        std::find(known.begin(), known.end(), member.key) != known.end()) {
      continue;
    }
    Warn(member.at, StrCat("'", core::EscapeControl(member.key), "' ", where,
                           " is not supported and has no effect"));
  }
}

StatusOr<std::string> Fields::Text(std::string_view key, const Node& node) const {
  if (node.kind != Node::Kind::kScalar) return Expected(key, node, "text");
  if (node.text.find('\0') != std::string::npos)
    return Error(node.at, StrCat(key, " contains NUL"));
  return node.text;
}

StatusOr<bool> Fields::Bool(std::string_view key, const Node& node) const {
  if (node.kind == Node::Kind::kScalar) {
    const std::string lower = core::AsciiLower(node.text);
    if (lower == "true") return true;
    if (lower == "false") return false;
  }
  return Expected(key, node, "true or false");
}

StatusOr<int64_t> Fields::Int(std::string_view key, const Node& node, int64_t min,
                              int64_t max) const {
  const auto value = node.kind == Node::Kind::kScalar ? core::ParseInt64(node.text) : std::nullopt;
  if (!value || *value < min || *value > max) {
    return Expected(key, node, StrCat("a number from ", min, " to ", max));
  }
  return *value;
}

StatusOr<double> Fields::Number(std::string_view key, const Node& node) const {
  const auto value = node.kind == Node::Kind::kScalar ? ParseNumber(node.text) : std::nullopt;
  if (!value || *value < 0) return Expected(key, node, "a number");
  return *value;
}

StatusOr<int64_t> Fields::Bytes(std::string_view key, const Node& node, int64_t unit) const {
  constexpr std::string_view kWhat = "a size such as 512m or 2g";
  if (node.kind != Node::Kind::kScalar) return Expected(key, node, kWhat);
  const std::string lower = core::AsciiLower(core::TrimSpace(node.text));
  const size_t digits = lower.find_first_not_of("0123456789.");
  const auto value = ParseNumber(std::string_view(lower).substr(0, digits));
  if (!value) return Expected(key, node, kWhat);
  if (digits != lower.npos) {
    const auto own = UnitOf(core::TrimSpace(std::string_view(lower).substr(digits)));
    if (!own) return Expected(key, node, kWhat);
    unit = *own;
  }
  const double bytes = *value * static_cast<double>(unit);
  if (bytes > kMaxBytes) return Expected(key, node, kWhat);
  return static_cast<int64_t>(std::ceil(bytes));
}

StatusOr<std::chrono::milliseconds> Fields::Duration(std::string_view key, const Node& node) const {
  constexpr std::string_view kWhat = "a duration such as 1m30s";
  if (node.kind != Node::Kind::kScalar) return Expected(key, node, kWhat);
  const auto nanoseconds = core::ParseDurationNs(node.text);
  if (!nanoseconds.ok() || *nanoseconds < 0) return Expected(key, node, kWhat);
  constexpr int64_t kMillisecond = 1'000'000;
  return std::chrono::milliseconds((*nanoseconds + kMillisecond - 1) / kMillisecond);
}

StatusOr<std::vector<std::string>> Fields::TextList(std::string_view key, const Node& node) const {
  std::vector<std::string> list;
  if (node.kind == Node::Kind::kNull) return list;
  if (node.kind != Node::Kind::kList) return Expected(key, node, "a list");
  for (const Node& item : node.items) {
    MBX_ASSIGN_OR_RETURN(std::string text, Text(StrCat("each of ", key), item));
    list.push_back(std::move(text));
  }
  return list;
}

StatusOr<std::vector<std::string>> Fields::TextOrList(std::string_view key,
                                                      const Node& node) const {
  if (node.kind != Node::Kind::kScalar) return TextList(key, node);
  MBX_ASSIGN_OR_RETURN(std::string text, Text(key, node));
  return std::vector<std::string>{std::move(text)};
}

StatusOr<std::vector<std::string>> Fields::Words(std::string_view key, const Node& node) const {
  if (node.kind != Node::Kind::kScalar) return TextList(key, node);
  auto words = SplitWords(node.text);
  if (!words.ok()) return Error(node.at, StrCat(key, ": ", words.status().message()));
  return words;
}

StatusOr<Fields::Pairs> Fields::KeyValues(std::string_view key, const Node& node,
                                          char separator) const {
  Pairs pairs;
  if (node.kind == Node::Kind::kNull) return pairs;
  if (node.kind == Node::Kind::kMap) {
    for (const Member& member : node.members) {
      if (member.value.kind == Node::Kind::kNull) {
        pairs.emplace_back(member.key, std::nullopt);
        continue;
      }
      MBX_ASSIGN_OR_RETURN(std::string value, Text(StrCat(key, ".", member.key), member.value));
      pairs.emplace_back(member.key, std::move(value));
    }
    return pairs;
  }
  if (node.kind != Node::Kind::kList) return Expected(key, node, "a map, or a list of KEY=value");
  for (const Node& item : node.items) {
    MBX_ASSIGN_OR_RETURN(const std::string text, Text(StrCat("each of ", key), item));
    const size_t at = text.find(separator);
    if (at == 0 || text.empty()) return Expected(StrCat("each of ", key), item, "KEY=value");
    pairs.emplace_back(text.substr(0, at),
                       at == text.npos ? std::nullopt : std::optional(text.substr(at + 1)));
  }
  return pairs;
}

StatusOr<const std::vector<Member>*> Fields::Map(std::string_view key, const Node& node) const {
  static const std::vector<Member> kNone;
  if (node.kind == Node::Kind::kNull) return &kNone;
  if (node.kind != Node::Kind::kMap) return Expected(key, node, "a map");
  return &node.members;
}

}  // namespace minibox::compose
