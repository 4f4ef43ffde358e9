// SPDX-License-Identifier: Apache-2.0
// What parses as a run request says the same when it is written and read again; what does not
// names a field.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "wire/run_request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto request = minibox::wire::ParseRunRequest(body);
  if (!request.ok()) {
    MBX_CHECK(request.status().code() == minibox::StatusCode::kInvalidArgument);
    MBX_CHECK(!request.status().reason().empty());
    MBX_CHECK(!request.status().field().empty());
    return 0;
  }
  const std::string written = minibox::wire::ToJson(*request);
  const auto again = minibox::wire::ParseRunRequest(written);
  MBX_CHECK(again.ok());
  MBX_CHECK(minibox::wire::ToJson(*again) == written);
  return 0;
}
