// SPDX-License-Identifier: Apache-2.0
// The body of POST /containers/build (spec §4.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::wire {

struct BuildRequest {
  BuildOptions options{};
  std::vector<std::string> unknown_fields{};  // of a parsed request
};

// Checks the JSON and that `minibox` is not blank; names and context are ImageBuilder's to check.
StatusOr<BuildRequest> ParseBuildRequest(std::string_view body);
// The inverse; fields with their default value are left out.
std::string ToJson(const BuildOptions& options);

}  // namespace minibox::wire
