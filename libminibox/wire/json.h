// SPDX-License-Identifier: Apache-2.0
// The library's JSON for the front ends, which see nothing of libminibox but wire/.
#pragma once

#include "core/json.h"

namespace minibox::wire {

using JsonType = json::Type;
using JsonValue = json::Value;
using JsonWriter = json::Writer;

// The same value with two spaces per level and a line end. kInvalidArgument if `text` is no JSON.
StatusOr<std::string> Indented(std::string_view text);
// The same value without blanks between its parts.
StatusOr<std::string> CompactJson(std::string_view text);

}  // namespace minibox::wire
