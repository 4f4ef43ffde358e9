// SPDX-License-Identifier: Apache-2.0
// One logical line to one instruction (spec §7.2).
#pragma once

#include <optional>

#include "build/ast.h"
#include "build/directives.h"
#include "build/lines.h"

namespace minibox::build {

// nullopt if the line has errors, which are then in `diagnostics`.
std::optional<Instruction> ParseInstruction(const Line& line, const Keyword& keyword,
                                            File::Format format, Diagnostics& diagnostics);

// "[A-Za-z0-9][A-Za-z0-9._-]*", at most 64.
bool IsValidBlockName(std::string_view name);
// What to say of one that is not.
std::string MalformedBlockName(std::string_view name);

}  // namespace minibox::build
