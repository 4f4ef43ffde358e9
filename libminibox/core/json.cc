// SPDX-License-Identifier: Apache-2.0
#include "core/json.h"

#include "core/check.h"
// RapidJSON reports a wrong type or index, which would be a bug of this file, by assertion.
#define RAPIDJSON_ASSERT(condition) MBX_CHECK(condition)
#include <rapidjson/document.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>
#include <charconv>

#include "absl/container/flat_hash_set.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::json {
namespace {

using Node = rapidjson::Value;

const Node* AsNode(const void* node) { return static_cast<const Node*>(node); }

std::string_view TextOf(const Node& node) { return {node.GetString(), node.GetStringLength()}; }

bool IsName(std::string_view key) {
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  for (const char c : key) {
    if (!letter(c) && !(c >= '0' && c <= '9')) return false;
  }
  return !key.empty() && letter(key[0]);
}

constexpr size_t kMaxKeyInPath = 128;

// `["8080"]`
std::string QuotedKey(std::string_view key) {
  std::string out = "[\"";
  for (const char c : core::EscapeControl(key.substr(0, kMaxKeyInPath))) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"]";
}

std::string KeyPath(std::string_view parent, std::string_view key) {
  if (IsName(key) && key.size() <= kMaxKeyInPath) return core::StrCat(parent, ".", key);
  return core::StrCat(parent, QuotedKey(key));
}

std::string IndexPath(std::string_view parent, size_t index) {
  return core::StrCat(parent, "[", index, "]");
}

Status ErrorAt(const std::string& path, std::string_view message) {
  std::string_view field = path;
  if (field.starts_with('$')) field.remove_prefix(1);
  if (field.starts_with('.')) field.remove_prefix(1);
  return Status(StatusCode::kInvalidArgument, core::StrCat(path, ": ", message),
                {.reason = "invalid_argument", .field = std::string(field)});
}

// Whether the absolute value of a JSON number is below one.
bool IsBelowOne(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  const size_t e = text.find_first_of("eE");
  const std::string_view mantissa = text.substr(0, e);
  std::string_view exponent = e == std::string_view::npos ? "0" : text.substr(e + 1);
  if (exponent.starts_with('+')) exponent.remove_prefix(1);
  const int64_t shift = core::ParseInt64(exponent).value_or(
      exponent.starts_with('-') ? INT64_MIN / 2 : INT64_MAX / 2);
  const int64_t point = static_cast<int64_t>(std::min(mantissa.find('.'), mantissa.size()));
  const size_t digit = mantissa.find_first_not_of("0.");
  if (digit == std::string_view::npos) return true;
  // Places of the first significant digit in front of the point.
  const int64_t first = static_cast<int64_t>(digit);
  const int64_t places = first < point ? point - first : point - first + 1;
  return places + std::clamp(shift, INT64_MIN / 2, INT64_MAX / 2) <= 0;
}

// Passes events on to the document while checking what RapidJSON does not: depth, duplicate
// keys, and strings whose escapes spell half a surrogate pair. Converts numbers, which RapidJSON
// 1.1 does with undefined behaviour ("0e308").
class CheckingHandler {
 public:
  using Ch = char;
  CheckingHandler(rapidjson::Document& document, int max_depth)
      : document_(document), max_depth_(max_depth) {}

  const Status& error() const { return error_; }

  bool Null() { return document_.Null() && Counted(); }
  bool Bool(bool value) { return document_.Bool(value) && Counted(); }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    return Number({text, size}) && Counted();
  }
  // All numbers come as text.
  bool Int(int) { return false; }
  bool Uint(unsigned) { return false; }
  bool Int64(int64_t) { return false; }
  bool Uint64(uint64_t) { return false; }
  bool Double(double) { return false; }
  bool String(const char* text, rapidjson::SizeType size, bool copy) {
    if (!core::IsValidUtf8({text, size})) return Fail("invalid UTF-8");
    return document_.String(text, size, copy) && Counted();
  }
  bool StartObject() { return Enter(true) && document_.StartObject(); }
  bool Key(const char* text, rapidjson::SizeType size, bool copy) {
    const std::string_view key(text, size);
    Level& level = levels_.back();
    if (!core::IsValidUtf8(key)) return Fail("invalid UTF-8 in a key");
    level.key = key;
    if (!level.keys.emplace(key).second) return Fail("duplicate key");
    return document_.Key(text, size, copy);
  }
  bool EndObject(rapidjson::SizeType count) {
    levels_.pop_back();
    return document_.EndObject(count) && Counted();
  }
  bool StartArray() { return Enter(false) && document_.StartArray(); }
  bool EndArray(rapidjson::SizeType count) {
    levels_.pop_back();
    return document_.EndArray(count) && Counted();
  }

 private:
  struct Level {
    bool object = false;
    size_t index = 0;
    std::string key{};
    absl::flat_hash_set<std::string> keys{};
  };

  bool Number(std::string_view text) {
    if (const auto value = core::ParseInt64(text)) return document_.Int64(*value);
    if (const auto value = core::ParseUint64(text)) return document_.Uint64(*value);
    double value = 0;
    const auto error = std::from_chars(text.data(), text.data() + text.size(), value).ec;
    if (error == std::errc()) return document_.Double(value);
    // Out of range: too small is zero, as everywhere else.
    return IsBelowOne(text) ? document_.Double(0) : Fail("number out of range");
  }

  bool Enter(bool object) {
    if (levels_.size() >= static_cast<size_t>(max_depth_)) {
      return Fail(core::StrCat("nested deeper than ", max_depth_));
    }
    levels_.push_back({.object = object});
    return true;
  }

  bool Counted() {
    if (!levels_.empty()) ++levels_.back().index;
    return true;
  }

  bool Fail(std::string_view message) {
    std::string path = "$";
    for (const Level& level : levels_) {
      path = level.object ? KeyPath(path, level.key) : IndexPath(path, level.index);
    }
    error_ = ErrorAt(path, message);
    return false;
  }

  rapidjson::Document& document_;
  const int max_depth_;
  std::vector<Level> levels_;
  Status error_;
};

// "3:14", columns in code points.
std::string Position(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  size_t line = 1, column = 1;
  for (const char c : before) {
    if (c == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++column;
    }
  }
  return core::StrCat(line, ":", column);
}

Status SyntaxError(std::string_view text, size_t offset, std::string_view message) {
  return Status(StatusCode::kInvalidArgument, core::StrCat(Position(text, offset), ": ", message),
                {.reason = "invalid_argument"});
}

// RapidJSON's texts are sentences.
std::string_view Describe(rapidjson::ParseErrorCode code) {
  switch (code) {
    case rapidjson::kParseErrorDocumentEmpty:
      return "no JSON value";
    case rapidjson::kParseErrorValueInvalid:
      return "invalid value";
    case rapidjson::kParseErrorObjectMissName:
      return "expected a key in quotes";
    case rapidjson::kParseErrorObjectMissColon:
      return "expected ':' after a key";
    case rapidjson::kParseErrorObjectMissCommaOrCurlyBracket:
      return "expected ',' or '}'";
    case rapidjson::kParseErrorArrayMissCommaOrSquareBracket:
      return "expected ',' or ']'";
    case rapidjson::kParseErrorStringUnicodeEscapeInvalidHex:
    case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
      return "invalid \\u escape";
    case rapidjson::kParseErrorStringEscapeInvalid:
      return "invalid escape or control character in a string";
    case rapidjson::kParseErrorStringMissQuotationMark:
      return "unterminated string";
    case rapidjson::kParseErrorStringInvalidEncoding:
      return "invalid UTF-8 in a string";
    case rapidjson::kParseErrorNumberTooBig:
      return "number out of range";
    case rapidjson::kParseErrorNumberMissFraction:
    case rapidjson::kParseErrorNumberMissExponent:
      return "incomplete number";
    default:
      return rapidjson::GetParseError_En(code);
  }
}

void WriteNode(const Node& node, Writer& writer) {
  switch (node.GetType()) {
    case rapidjson::kNullType:
      writer.Null();
      break;
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      writer.Bool(node.GetBool());
      break;
    case rapidjson::kObjectType:
      writer.BeginObject();
      for (const auto& member : node.GetObject()) {
        writer.Key(TextOf(member.name));
        WriteNode(member.value, writer);
      }
      writer.EndObject();
      break;
    case rapidjson::kArrayType:
      writer.BeginArray();
      for (const Node& element : node.GetArray()) WriteNode(element, writer);
      writer.EndArray();
      break;
    case rapidjson::kStringType:
      writer.String(TextOf(node));
      break;
    case rapidjson::kNumberType:
      if (node.IsInt64()) {
        writer.Int(node.GetInt64());
      } else if (node.IsUint64()) {
        writer.Uint(node.GetUint64());
      } else {
        writer.Double(node.GetDouble());
      }
      break;
  }
}

}  // namespace

StatusOr<Value> Parse(std::string_view text, const ParseLimits& limits) {
  const Status too_large(StatusCode::kInvalidArgument,
                         core::StrCat("larger than ", limits.max_bytes, " bytes"),
                         {.reason = "invalid_argument"});
  // With `end`, what follows the value is not ours and may be any size.
  const bool cut = text.size() > limits.max_bytes;
  if (cut && limits.end == nullptr) return too_large;
  const std::string_view input = text.substr(0, limits.max_bytes);

  constexpr unsigned kFlags = rapidjson::kParseValidateEncodingFlag |
                              rapidjson::kParseNumbersAsStringsFlag |
                              rapidjson::kParseStopWhenDoneFlag | rapidjson::kParseIterativeFlag;
  auto document = std::make_shared<rapidjson::Document>();
  rapidjson::MemoryStream stream(input.data(), input.size());
  rapidjson::Reader reader;
  CheckingHandler handler(*document, limits.max_depth);
  rapidjson::ParseResult result;
  const auto generate = [&](rapidjson::Document&) {
    result = reader.Parse<kFlags>(stream, handler);
    return !result.IsError();
  };
  document->Populate(generate);
  if (result.IsError()) {
    if (!handler.error().ok()) return handler.error();
    if (cut && result.Offset() >= input.size()) return too_large;
    // "]" too is an empty document to RapidJSON.
    auto code = result.Code();
    if (code == rapidjson::kParseErrorDocumentEmpty && result.Offset() < input.size()) {
      code = rapidjson::kParseErrorValueInvalid;
    }
    return SyntaxError(input, result.Offset(), Describe(code));
  }
  if (limits.end != nullptr) {
    *limits.end = stream.Tell();
  } else {
    const size_t rest = input.find_first_not_of(" \t\r\n", stream.Tell());
    if (rest != std::string_view::npos) {
      return SyntaxError(input, rest, "unexpected bytes after the value");
    }
  }
  Value root;
  root.node_ = static_cast<const Node*>(document.get());
  root.document_ = std::move(document);
  return root;
}

Type Value::type() const {
  if (node_ == nullptr) return Type::kAbsent;
  switch (AsNode(node_)->GetType()) {
    case rapidjson::kNullType:
      return Type::kNull;
    case rapidjson::kFalseType:
    case rapidjson::kTrueType:
      return Type::kBool;
    case rapidjson::kObjectType:
      return Type::kObject;
    case rapidjson::kArrayType:
      return Type::kArray;
    case rapidjson::kStringType:
      return Type::kString;
    case rapidjson::kNumberType:
      return Type::kNumber;
  }
  return Type::kAbsent;
}

Value Value::Get(std::string_view key) const {
  Value child;
  child.path_ = KeyPath(path_, key);
  if (type() != Type::kObject) return child;
  for (const auto& member : AsNode(node_)->GetObject()) {
    if (TextOf(member.name) != key) continue;
    child.node_ = &member.value;
    child.document_ = document_;
    break;
  }
  return child;
}

Value Value::At(size_t index) const {
  Value child;
  child.path_ = IndexPath(path_, index);
  if (type() != Type::kArray || index >= size()) return child;
  child.node_ = &(*AsNode(node_))[static_cast<rapidjson::SizeType>(index)];
  child.document_ = document_;
  return child;
}

size_t Value::size() const {
  if (type() == Type::kObject) return AsNode(node_)->MemberCount();
  return type() == Type::kArray ? AsNode(node_)->Size() : 0;
}

std::vector<std::pair<std::string, Value>> Value::Members() const {
  std::vector<std::pair<std::string, Value>> members;
  if (type() != Type::kObject) return members;
  for (const auto& member : AsNode(node_)->GetObject()) {
    Value child;
    child.path_ = KeyPath(path_, TextOf(member.name));
    child.node_ = &member.value;
    child.document_ = document_;
    members.emplace_back(TextOf(member.name), std::move(child));
  }
  return members;
}

std::vector<Value> Value::Elements() const {
  std::vector<Value> elements;
  if (type() != Type::kArray) return elements;
  for (size_t i = 0; i < size(); ++i) elements.push_back(At(i));
  return elements;
}

StatusOr<std::string> Value::AsString() const {
  if (type() != Type::kString) return Expected("a string");
  return std::string(TextOf(*AsNode(node_)));
}

StatusOr<int64_t> Value::AsInt() const {
  if (type() != Type::kNumber || !AsNode(node_)->IsInt64()) return Expected("an integer");
  return AsNode(node_)->GetInt64();
}

StatusOr<uint64_t> Value::AsUint() const {
  if (type() != Type::kNumber || !AsNode(node_)->IsUint64()) {
    return Expected("a non-negative integer");
  }
  return AsNode(node_)->GetUint64();
}

StatusOr<double> Value::AsDouble() const {
  if (type() != Type::kNumber) return Expected("a number");
  return AsNode(node_)->GetDouble();
}

StatusOr<bool> Value::AsBool() const {
  if (type() != Type::kBool) return Expected("true or false");
  return AsNode(node_)->GetBool();
}

StatusOr<std::vector<std::string>> Value::AsStringArray() const {
  if (type() != Type::kArray) return Expected("an array of strings");
  std::vector<std::string> strings;
  for (const Value& element : Elements()) {
    MBX_ASSIGN_OR_RETURN(std::string text, element.AsString());
    strings.push_back(std::move(text));
  }
  return strings;
}

StatusOr<std::map<std::string, std::string>> Value::AsStringMap() const {
  if (type() != Type::kObject) return Expected("an object with string values");
  std::map<std::string, std::string> map;
  for (auto& [key, value] : Members()) {
    // The keys of a map are data, so they are quoted in its paths: labels["app"].
    if (value.type() != Type::kString) {
      return ErrorAt(path_ + QuotedKey(key), "expected a string");
    }
    map.emplace(key, TextOf(*AsNode(value.node_)));
  }
  return map;
}

StatusOr<std::string> Value::GetString(std::string_view key) const { return Get(key).AsString(); }

StatusOr<int64_t> Value::GetInt(std::string_view key) const { return Get(key).AsInt(); }

StatusOr<std::string> Value::GetString(std::string_view key, std::string_view def) const {
  const Value child = Get(key);
  if (child.empty()) return std::string(def);
  return child.AsString();
}

StatusOr<int64_t> Value::GetInt(std::string_view key, int64_t def) const {
  const Value child = Get(key);
  if (child.empty()) return def;
  return child.AsInt();
}

StatusOr<bool> Value::GetBool(std::string_view key, bool def) const {
  const Value child = Get(key);
  if (child.empty()) return def;
  return child.AsBool();
}

StatusOr<std::vector<std::string>> Value::GetStringArray(std::string_view key) const {
  const Value child = Get(key);
  if (child.empty()) return std::vector<std::string>();
  return child.AsStringArray();
}

StatusOr<std::map<std::string, std::string>> Value::GetStringMap(std::string_view key) const {
  const Value child = Get(key);
  if (child.empty()) return std::map<std::string, std::string>();
  return child.AsStringMap();
}

Status Value::Expected(std::string_view what) const {
  return ErrorAt(path_, core::StrCat("expected ", what));
}

std::string Value::Dump() const {
  if (node_ == nullptr) return "null";
  Writer writer;
  WriteNode(*AsNode(node_), writer);
  return writer.Take();
}

}  // namespace minibox::json
