// SPDX-License-Identifier: Apache-2.0
// The same for build requests.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "wire/build_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto request = minibox::wire::ParseBuildRequest(body);
  if (!request.ok()) {
    MBX_CHECK(request.status().code() == minibox::StatusCode::kInvalidArgument);
    MBX_CHECK(!request.status().field().empty());
    return 0;
  }
  const std::string written = minibox::wire::ToJson(request->options);
  const auto again = minibox::wire::ParseBuildRequest(written);
  MBX_CHECK(again.ok());
  MBX_CHECK(minibox::wire::ToJson(again->options) == written);
  return 0;
}
