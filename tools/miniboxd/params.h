// SPDX-License-Identifier: Apache-2.0
// Parameters of a request: the query, and for POST also the members of a JSON body; the query
// wins (spec §4.2).
//
//   Params params(exchange, Strictness::kPublished);
//   params.Required("id", &id);
//   params.Int("t", 0, 600, &seconds);
//   if (!params.Finish()) return;     // the error has been sent
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "exchange.h"
#include "minibox/types.h"
#include "wire/fields.h"

namespace miniboxd {

inline constexpr size_t kMaxJsonBody = 4 << 20;

class Params {
 public:
  enum class Body { kJson, kNone };  // kNone: the body is something else, or ignored
  Params(Exchange& exchange, minibox::wire::Strictness strictness, Body body = Body::kJson);

  // Empty values are missing ones.
  void Text(std::string_view name, std::string* out);
  // The same, but missing is 400 with `message` (default "missing <name>").
  void Required(std::string_view name, std::string* out, std::string_view message = {});
  void Flag(std::string_view name, bool* out);  // 0 or 1; in a body true or false
  // The same; an explicit false is told from a missing one.
  void OptionalFlag(std::string_view name, std::optional<bool>* out);
  void Int(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>* out);
  // RFC 3339, Unix seconds, or a duration ago.
  void Time(std::string_view name, std::optional<minibox::TimePoint>* out);
  // A filter that may be repeated. Query only.
  void List(std::string_view name, std::vector<std::string>* out);
  // Body only.
  void TextMap(std::string_view name, std::map<std::string, std::string>* out);
  void TextList(std::string_view name, std::vector<std::string>* out);
  // Refuses a parameter of the specification that this version has no place for.
  void Unsupported(std::string_view name);
  void Fail(minibox::Status status);

  // What follows the JSON value in the body.
  const std::string& rest() const { return rest_; }
  // Sends the first error and returns false; else warns of what nobody asked for.
  bool Finish();

 private:
  minibox::Status Read(minibox::wire::Strictness strictness, Body body);
  // The value in the query; an error if it is repeated.
  std::optional<std::string> FromQuery(std::string_view name);

  struct QueryItem {
    std::string name, value;
    bool used = false;
  };
  Exchange& exchange_;
  std::vector<QueryItem> query_;
  std::optional<minibox::wire::FieldReader> fields_;
  std::string rest_;
  minibox::Status status_;
};

// Adds the first ten as warnings.
void WarnOfUnknown(Exchange& exchange, std::string_view what,
                   const std::vector<std::string>& names);

// Whether all filters "key" or "key=value" hold.
bool HasLabels(const std::map<std::string, std::string>& labels,
               const std::vector<std::string>& filters);

}  // namespace miniboxd
