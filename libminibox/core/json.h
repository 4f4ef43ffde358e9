// SPDX-License-Identifier: Apache-2.0
// JSON with every access checked. RapidJSON, which aborts on a wrong type, stays in json.cc.
//
//   MBX_ASSIGN_OR_RETURN(json::Value root, json::Parse(text));
//   MBX_ASSIGN_OR_RETURN(std::string digest, root.Get("layers").At(3).GetString("digest"));
//
// Errors are kInvalidArgument "$.layers[3].digest: expected a string"; field() holds the
// path without "$.". A Value is a cheap handle that keeps its document alive.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace minibox::json {

struct ParseLimits {
  size_t max_bytes = 4u << 20;
  int max_depth = 64;
  // Bytes after the value are left alone; their offset goes to *end. nullptr: an error.
  size_t* end = nullptr;
};

enum class Type { kAbsent, kNull, kBool, kNumber, kString, kArray, kObject };

class Value {
 public:
  Value() = default;  // absent
  Type type() const;
  bool absent() const { return type() == Type::kAbsent; }
  // Absent or null.
  bool empty() const { return type() <= Type::kNull; }
  const std::string& path() const { return path_; }  // "$.layers[3]"

  // Children. Of anything but an object or array, or if there is none: an absent Value
  // whose path is right, so that chains may be written without checks in between.
  Value Get(std::string_view key) const;
  Value At(size_t index) const;
  size_t size() const;                                         // of an array or object, else 0
  std::vector<std::pair<std::string, Value>> Members() const;  // in document order
  std::vector<Value> Elements() const;

  // Exactly this type, or kInvalidArgument naming the path.
  StatusOr<std::string> AsString() const;
  StatusOr<int64_t> AsInt() const;
  StatusOr<uint64_t> AsUint() const;
  StatusOr<double> AsDouble() const;
  StatusOr<bool> AsBool() const;
  StatusOr<std::vector<std::string>> AsStringArray() const;
  StatusOr<std::map<std::string, std::string>> AsStringMap() const;
  // Get(key).As…()
  StatusOr<std::string> GetString(std::string_view key) const;
  StatusOr<int64_t> GetInt(std::string_view key) const;
  // Absent or null gives the default; another type is an error.
  StatusOr<std::string> GetString(std::string_view key, std::string_view def) const;
  StatusOr<int64_t> GetInt(std::string_view key, int64_t def) const;
  StatusOr<bool> GetBool(std::string_view key, bool def) const;
  // Absent or null gives an empty one.
  StatusOr<std::vector<std::string>> GetStringArray(std::string_view key) const;
  StatusOr<std::map<std::string, std::string>> GetStringMap(std::string_view key) const;
  // The error that says what was expected here.
  Status Expected(std::string_view what) const;
  // Compact text of this value.
  std::string Dump() const;

 private:
  friend StatusOr<Value> Parse(std::string_view, const ParseLimits&);
  std::shared_ptr<const void> document_;
  const void* node_ = nullptr;
  std::string path_ = "$";
};

// Strict RFC 8259, valid UTF-8, no duplicate keys, limited depth. Errors name line:column,
// or the path of a duplicate key.
StatusOr<Value> Parse(std::string_view text, const ParseLimits& limits = {});

// Writes JSON in the order of the calls. Misuse (a key outside an object) is a bug and aborts.
class Writer {
 public:
  explicit Writer(int indent = 0);  // 0: compact; else spaces per level
  Writer(Writer&&) noexcept;
  ~Writer();
  Writer& BeginObject();
  Writer& EndObject();
  Writer& BeginArray();
  Writer& EndArray();
  Writer& Key(std::string_view key);
  Writer& String(std::string_view value);
  Writer& Int(int64_t value);
  Writer& Uint(uint64_t value);
  Writer& Double(double value);
  Writer& Bool(bool value);
  Writer& Null();
  Writer& Raw(std::string_view json);  // a complete JSON value
  Writer& StringArray(const std::vector<std::string>& values);
  Writer& StringMap(const std::map<std::string, std::string>& values);
  // The text; the writer is empty afterwards.
  std::string Take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::json
