// SPDX-License-Identifier: Apache-2.0
// Reading the fields of a JSON request by the rules of spec §4.2.
//
//   MBX_ASSIGN_OR_RETURN(FieldReader fields, FieldReader::Parse(body, Strictness::kPublished));
//   fields.Text("name", &spec.name);
//   fields.Int("cpu", 1, kMaxCpu, &cpu);
//   MBX_RETURN_IF_ERROR(fields.status());
//
// Names match exactly, else case-insensitively; missing, null and zero values leave the
// default in place. The first error is kept and later reads do nothing, so that a request is
// read without a check per field.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "minibox/status.h"

namespace minibox::wire {

// The JSON is not what it must be: kInvalidArgument "invalid_request",
// "Invalid request: <field>: <why>".
Status InvalidRequest(std::string_view field, std::string_view why);
// The value is not permitted: kInvalidArgument "invalid_argument", "<field>: <why>".
Status InvalidField(std::string_view field, std::string_view why);
// A field of the specification that this version cannot honour and therefore refuses.
Status NotSupported(std::string_view field);
// `ports["8080"]`, `env[3]`: how an entry is named in errors.
std::string EntryName(std::string_view field, std::string_view key);
std::string EntryName(std::string_view field, size_t index);

enum class Strictness {
  kPublished,  // bytes after the value are left alone, unknown fields are reported only
  kStrict,     // both are errors
};
enum class Chars {
  kLine,  // no control characters
  kText,  // anything but NUL
};

class FieldReader {
 public:
  // `end`, if given, receives the offset of the first byte after the JSON value.
  static StatusOr<FieldReader> Parse(std::string_view body, Strictness strictness,
                                     size_t* end = nullptr);

  void Text(std::string_view name, std::string* out, Chars chars = Chars::kLine);
  void TextList(std::string_view name, std::vector<std::string>* out, Chars chars = Chars::kLine);
  // Values may hold anything but NUL, keys no control characters.
  void TextMap(std::string_view name, std::map<std::string, std::string>* out);
  // key -> text or list of texts, in document order.
  void ListMap(std::string_view name,
               std::vector<std::pair<std::string, std::vector<std::string>>>* out);
  void Bool(std::string_view name, bool* out);
  // An explicit false is told from a missing field.
  void OptionalBool(std::string_view name, std::optional<bool>* out);
  // 0 is the default and in any range.
  void Int(std::string_view name, int64_t low, int64_t high, int64_t* out);
  // 0 is a value like any other.
  void OptionalInt(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>* out);
  // The raw value, absent if missing; for fields of several types.
  json::Value Raw(std::string_view name);
  // Refuses the field unless it is missing, null or zero (false, 0, "", [], {}).
  void Unsupported(std::string_view name);
  void Fail(Status status);

  const Status& status() const { return status_; }
  // Fields that nobody asked for, by name. Call after the last read.
  std::vector<std::string> Unknown() const;
  // With kStrict, the error for the first unknown field.
  Status Finish() const;

 private:
  FieldReader() = default;
  json::Value Find(std::string_view name);

  struct Member {
    std::string name;
    json::Value value;
    bool used = false;
  };
  std::vector<Member> members_;
  Strictness strictness_ = Strictness::kPublished;
  Status status_;
};

// Whether the value is missing, null, or the zero of its type.
bool IsZero(const json::Value& value);
// The error unless `text` is free of NUL and, with kLine, of control characters.
Status CheckChars(std::string_view field, std::string_view text, Chars chars);

}  // namespace minibox::wire
