// SPDX-License-Identifier: Apache-2.0
// What parses is valid UTF-8 of limited depth, and writing it gives text that parses to the same.
#include <cstdint>
#include <string_view>

#include "core/check.h"
#include "core/json.h"
#include "core/strings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace json = minibox::json;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t end = 0;
  const auto prefix = json::Parse(text, {.end = &end});
  if (prefix.ok()) MBX_CHECK(end <= size);
  const auto value = json::Parse(text);
  if (!value.ok()) {
    MBX_CHECK(!value.status().message().empty());
    return 0;
  }
  const std::string once = value->Dump();
  MBX_CHECK(minibox::core::IsValidUtf8(once));
  const auto again = json::Parse(once, {.max_bytes = once.size()});
  MBX_CHECK(again.ok());
  MBX_CHECK(again->Dump() == once);
  return 0;
}
