// SPDX-License-Identifier: Apache-2.0
// The lexer: lines are in order, their places lie in the source, and errors name one of them.
#include <cstdint>
#include <string_view>

#include "build/lines.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace minibox::build;
  const std::string_view source = WithoutBom({reinterpret_cast<const char*>(data), size});
  Diagnostics diagnostics;
  size_t before = 0;
  for (const auto& line : SplitLines(source, diagnostics)) {
    MBX_CHECK(!line.text.empty() && !line.joints.empty());
    MBX_CHECK(line.At(0) >= before && line.At(0) < source.size());
    before = line.At(0);
    for (size_t i = 0; i < line.text.size(); ++i) MBX_CHECK(line.At(i) <= source.size());
    MBX_CHECK(line.text.starts_with(line.Keyword()));
  }
  for (const auto& diagnostic : diagnostics.Resolve(source, 20)) {
    MBX_CHECK(diagnostic.line >= 1 && diagnostic.column >= 1);
  }
  return 0;
}
