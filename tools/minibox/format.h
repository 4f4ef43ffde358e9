// SPDX-License-Identifier: Apache-2.0
// Templates of --format (spec §15.1): text with fields of a JSON object.
//
//   {{.Name}}  {{.Repository}}:{{.Tag}}  {{.Config.Env}}  {{json .Labels}}  {{json .}}
//
// A field is found whatever its case and underscores: {{.SizeBytes}} is "size_bytes". Strings and
// numbers appear as they are, everything else as JSON; what is not there is empty. \t and \n are
// tab and line end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "wire/json.h"

namespace minibox::cli {

inline bool IsTemplate(std::string_view format) { return format.find("{{") != format.npos; }

class Template {
 public:
  // kInvalidArgument says what is wrong.
  static StatusOr<Template> Parse(std::string_view text);
  // Control characters in values are escaped.
  std::string Apply(const wire::JsonValue& object) const;

 private:
  struct Part {
    std::string text{};               // literal, or
    std::vector<std::string> path{};  // a field; empty with `whole`
    bool field = false, json = false;
  };
  std::vector<Part> parts_;
};

// One line per element of a JSON array, or per member of an object of objects; any other value is
// one row.
StatusOr<std::string> FormatRows(std::string_view text, std::string_view json);

}  // namespace minibox::cli
