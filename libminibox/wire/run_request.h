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

  // Of a parsed request: the field that each entry of spec.mounts and spec.ports comes from,
  // and the fields that the API does not know.
  std::vector<std::string> mount_fields{}, port_fields{};
  std::vector<std::string> unknown_fields{};
};

// Every field is checked as far as it can be without the host and the image. A field of the
// specification that this version has no place for is refused unless it has its default value.
// kInvalidArgument "invalid_request" or "invalid_argument" naming the field.
StatusOr<RunRequest> ParseRunRequest(std::string_view body);

// The inverse: fields with their default value are left out.
std::string ToJson(const RunRequest& request);

// The library names members of ContainerSpec; clients know the request's fields. Returns
// `status` with the name (and the message's beginning, if it is the name) replaced.
Status NameRequestField(const RunRequest& request, const Status& status);

}  // namespace minibox::wire
