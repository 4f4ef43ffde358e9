// SPDX-License-Identifier: Apache-2.0
// The answer to POST /containers/build/plan, and the diagnostics of a file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::wire {

std::string ToJson(const BuildPlan& plan);
StatusOr<BuildPlan> ParseBuildPlan(std::string_view text);

// [{"severity","line","column","message"}…]
std::string ToJson(const std::vector<Diagnostic>& diagnostics);
// Of the text of an error "invalid_build_file": one from each line "MiniBox:<line>:<column>: …".
// Empty if one line is none.
std::vector<Diagnostic> ParseDiagnostics(std::string_view message);

}  // namespace minibox::wire
