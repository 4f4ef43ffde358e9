// SPDX-License-Identifier: Apache-2.0
// Any bytes are rules; asking them is the same twice, and a path below an ignored directory is
// ignored.
#include <cstdint>
#include <string>
#include <string_view>

#include "build/ignore.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using minibox::build::IgnoreRules;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool anchored : {false, true}) {
    const IgnoreRules rules = IgnoreRules::Parse(text, anchored);
    MBX_CHECK(!rules.IgnoresWithParents("", true));
    for (const char* path : {"a", "a/b", "a/b/c.txt", ".x", "dir/\xff", "[", "a*b/?"}) {
      const bool ignored = rules.IgnoresWithParents(path, false);
      MBX_CHECK(rules.IgnoresWithParents(path, false) == ignored);
      if (rules.IgnoresWithParents(path, true)) {
        MBX_CHECK(rules.IgnoresWithParents(std::string(path) + "/below", false));
      }
    }
  }
  return 0;
}
