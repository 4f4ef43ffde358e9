// SPDX-License-Identifier: Apache-2.0
// Here-documents in shell text (spec §7.1).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace minibox::build {

struct HeredocStart {
  size_t begin = 0, end = 0;  // of "<<-'W'" in the text
  std::string marker{};       // W
  bool strip_tabs = false;    // "<<-"
};

// Those outside quotes and $((…)), in order.
std::vector<HeredocStart> FindHeredocs(std::string_view shell_text);

// One line of a body as the shell gets it: without the indentation that it shares with the
// terminator, and with `strip_tabs` without leading tabs.
std::string_view UnindentBodyLine(std::string_view line, std::string_view terminator_indent,
                                  bool strip_tabs);

}  // namespace minibox::build
