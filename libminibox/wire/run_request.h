// SPDX-License-Identifier: Apache-2.0
// The run request (spec §4.3, §5.5): the body of POST /containers/run and /containers/create.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

struct RunRequest {
  ContainerSpec spec{};
  bool detached = false;
  OnDisconnect on_disconnect = OnDisconnect::kKill;
  std::vector<std::string> unknown_fields{};  // of a parsed request
};

// Types, units and ranges are checked here, the rest by Runtime::Create, which names the same
// fields. A field of the specification that this version has no place for is refused unless it
// has its default value.
// kInvalidArgument "invalid_request" or "invalid_argument" naming the field.
// `end` receives the offset of the first byte behind the JSON value.
StatusOr<RunRequest> ParseRunRequest(std::string_view body, size_t* end = nullptr);

// The inverse: fields with their default value are left out.
std::string ToJson(const RunRequest& request);

}  // namespace minibox::wire
