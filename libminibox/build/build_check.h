// SPDX-License-Identifier: Apache-2.0
// Everything about a build that can be refused before it begins (spec §4.3, §7.9).
#pragma once

#include <string>
#include <vector>

#include "build/diagnostics.h"
#include "build/graph.h"
#include "build/ignore.h"
#include "build/scope.h"
#include "build/store_parts.h"
#include "core/root_dir.h"
#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::build {

struct CheckedBuild {
  std::string source{};  // the text without BOM, which offsets refer to
  File file{};
  Arguments arguments{};
  Graph graph{};
  std::vector<ImageRef> names{};
  core::RootDir context{};
  IgnoreRules ignore{};
};

// kInvalidArgument "invalid_build_file", "invalid_reference", "invalid_context".
StatusOr<CheckedBuild> CheckBuild(const BuildOptions& options, const StoreParts& store);

// Of the text alone: arguments and bases may turn out to be anything.
std::vector<Diagnostic> CheckText(std::string_view text);

}  // namespace minibox::build
