// SPDX-License-Identifier: Apache-2.0
// What a build would do, for people and tools: blocks, edges, keys, hits. Nothing is run,
// fetched or written.
#pragma once

#include <stop_token>

#include "build/build_check.h"
#include "build/build_state.h"
#include "minibox/image_builder.h"
#include "minibox/status.h"

namespace minibox::build {

StatusOr<BuildPlan> DescribePlan(BuilderParts& parts, const BuildOptions& options,
                                 CheckedBuild checked, std::stop_token stop);

}  // namespace minibox::build
