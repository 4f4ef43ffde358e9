// SPDX-License-Identifier: Apache-2.0
// Writes what a COPY has taken into the root of the step (spec §7.5).
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>

#include "build/copy_plan.h"
#include "build/owners.h"
#include "build/source_tree.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct CopyTarget {
  std::string destination{};    // absolute, clean
  bool into_directory = false;  // written as a directory
  Owner owner{};
  bool keep_owner = false;  // that of each source instead
  // Modification times become this; those of a block's root are kept (spec §8.7).
  int64_t epoch = 0;
};

// `root` is the merged, writable view of the step's root. Entries equal to what is there are
// left alone. kAborted "file_changed" if a source no longer is what the plan says.
Status ApplyCopy(const SourceTree& tree, const CopyPlan& plan, const CopyTarget& target,
                 const core::RootDir& root, std::stop_token stop);

}  // namespace minibox::build
