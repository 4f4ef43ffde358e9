// SPDX-License-Identifier: Apache-2.0
// Any text is a tree or an error with a place in it; a tree that is written reads back as itself.
// Variables of any form end in a text or an error.
#include <cstdint>
#include <string>
#include <string_view>

#include "compose/interpolate.h"
#include "compose/yaml.h"
#include "core/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace minibox::compose;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Lookup lookup = [](const std::string& name) -> std::optional<std::string> {
    return name.size() % 2 == 0 ? std::optional<std::string>(name) : std::nullopt;
  };
  (void)Interpolate(text, lookup, nullptr);
  (void)ParseEnvFile(text, "f", lookup);
  (void)SplitWords(text);
  const auto escaped = Interpolate(EscapeDollars(text), lookup, nullptr);
  MBX_CHECK(escaped.ok() && *escaped == text);
  const auto tree = ParseYaml(text, "f");
  if (!tree.ok()) {
    MBX_CHECK(tree.status().reason() == "invalid_compose_file");
    return 0;
  }
  const std::string written = EmitYaml(*tree);
  const auto again = ParseYaml(written, "f");
  MBX_CHECK(again.ok());
  MBX_CHECK(EmitYaml(*again) == written);
  return 0;
}
