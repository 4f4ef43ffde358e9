// SPDX-License-Identifier: Apache-2.0
// The body of POST /containers/exec (spec §4.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

struct ExecRequest {
  std::string id{};  // of the container, or its name
  ExecSpec spec{};
  std::vector<std::string> unknown_fields{};  // of a parsed request
};

// `end` receives the offset of the first byte behind the JSON value. kInvalidArgument
// "missing_argument" without id or command, "invalid_request" or "invalid_argument" naming the
// field.
StatusOr<ExecRequest> ParseExecRequest(std::string_view body, size_t* end = nullptr);

// The inverse: fields with their default value are left out.
std::string ToJson(const ExecRequest& request);

}  // namespace minibox::wire
