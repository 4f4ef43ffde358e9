// SPDX-License-Identifier: Apache-2.0
// A MiniBox file: bytes to values (spec §7). Pure; any bytes give a file or diagnostics, in
// linear time.
//
//   text ──SplitLines──> lines ──ParseFile──> File ──BuildGraph──> Graph ──MakePlan──> Plan
//          lines.h                parser.h           graph.h               plan.h
#pragma once

#include <string_view>

#include "build/ast.h"
#include "build/diagnostics.h"

namespace minibox::build {

// `source` without BOM; offsets in the result and in `diagnostics` are its own. With errors
// the file holds what could be read, good enough to look for further ones.
File ParseFile(std::string_view source, Diagnostics& diagnostics);

}  // namespace minibox::build
