// SPDX-License-Identifier: Apache-2.0
// From arguments to the chosen command.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "terminal.h"

namespace minibox::cli {

// Does what the arguments (without the program's name) ask for; the exit status (spec §15.1).
int RunCommandLine(std::vector<std::string> arguments, Terminal terminal);

// The candidate that `word` probably means, or "".
std::string Nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace minibox::cli
