// SPDX-License-Identifier: Apache-2.0
// Arguments that are a JSON array of strings (spec §7.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace minibox::build {

// The array that `text` is, blanks around it ignored; nullopt if it is none.
std::optional<std::vector<std::string>> ParseJsonForm(std::string_view text);
// Starts with `["`: it is an array, or an error.
bool LooksLikeJsonForm(std::string_view text);
// Is an array or must be one.
bool IsJsonForm(std::string_view text);

}  // namespace minibox::build
