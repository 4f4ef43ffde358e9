// SPDX-License-Identifier: Apache-2.0
// The snapshots of one block as one tree: the layer of the block (spec §8.6).
#pragma once

#include <stop_token>
#include <vector>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

// Merges `trees`, bottom first, into the empty directory `target` on the same file system, as
// an overlay would show them, keeping what they hide of layers further down. Files are hard
// links: nothing is copied, and nothing may be changed.
Status MergeTrees(const std::vector<core::RootDir>& trees, const core::RootDir& target,
                  std::stop_token stop);

}  // namespace minibox::build
