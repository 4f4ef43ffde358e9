// SPDX-License-Identifier: Apache-2.0
// One build from its bases to its names (spec §8).
//
//   bases ─> plan ─> blocks, as they get ready ─> layers ─> config, manifest ─> names
#pragma once

#include <stop_token>

#include "build/build_check.h"
#include "build/build_log.h"
#include "build/build_state.h"
#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::build {

// Writes the lines of spec §8.8, the last one included, to `log`. All arguments are borrowed for
// the call. On failure nothing is registered; finished snapshots stay.
StatusOr<ImageInfo> RunBuild(BuilderParts& parts, const BuildOptions& options, CheckedBuild checked,
                             BuildLog& log, Silence& silence, std::stop_token stop);

}  // namespace minibox::build
