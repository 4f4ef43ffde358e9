// SPDX-License-Identifier: Apache-2.0
// Any line has words or an error; reading takes no part of it twice. The same bytes as the value
// of --mount and as text with here-documents.
#include <cstdint>
#include <string>
#include <string_view>

#include "build/heredoc.h"
#include "build/lines.h"
#include "build/run_mounts.h"
#include "build/words.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace minibox::build;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Diagnostics of_lines;
  for (const auto& line : SplitLines(WithoutBom(text), of_lines)) {
    for (const auto variables :
         {WordReader::Variables::kExpanded, WordReader::Variables::kLiteral}) {
      Diagnostics diagnostics;
      WordReader reader(line, 0, variables, diagnostics);
      size_t words = 0, before = 0;
      while (const auto word = reader.Next()) {
        MBX_CHECK(word->offset >= before);
        before = word->offset;
        MBX_CHECK(++words <= line.text.size());
        Diagnostics of_mount;
        const auto mount = ParseMountOption(*word, word->offset, of_mount);
        MBX_CHECK(mount.has_value() != of_mount.failed());
      }
      MBX_CHECK(reader.failed() == diagnostics.failed());
    }
    size_t end = 0;
    for (const auto& start : FindHeredocs(line.text)) {
      MBX_CHECK(start.begin >= end && start.end > start.begin && start.end <= line.text.size());
      end = start.end;
    }
  }
  return 0;
}
