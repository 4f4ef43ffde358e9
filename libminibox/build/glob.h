// SPDX-License-Identifier: Apache-2.0
// Patterns over paths: *, ?, […], \x within a component, ** as a whole component.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace minibox::build {

// Whether one component matches. Never exponential.
bool MatchComponent(std::string_view pattern, std::string_view name);

// Whether a whole path matches; "**" stands for any number of components, also none.
bool MatchPath(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path);

// Has any of * ? [ in it.
bool IsGlob(std::string_view text);

}  // namespace minibox::build
