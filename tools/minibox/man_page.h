// SPDX-License-Identifier: Apache-2.0
// minibox(1), from the definitions of the commands.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace minibox::cli {

// For man(1) (groff's man macros).
std::string ManPage(const CLI::App& app);

}  // namespace minibox::cli
