// SPDX-License-Identifier: Apache-2.0
// A directory tree with everything that archivers get wrong.
#pragma once

#include <string>

namespace minibox::testing {

// Makes it in `top`, which must not exist. Needs root.
void MakeNastyTree(const std::string& top);

// Runs a shell command; its output goes into the failure message.
void RunShell(const std::string& command);

}  // namespace minibox::testing
