// SPDX-License-Identifier: Apache-2.0
// PKG: which package manager a root has and how it is called (spec §7.3).
#pragma once

#include <string>
#include <vector>

#include "build/plan.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

// The command that installs `packages` with what `root` has. Names reach the package manager
// as arguments of its own; no shell reads them. kFailedPrecondition if there is none.
StatusOr<std::vector<std::string>> PlanInstallation(const core::RootDir& root,
                                                    const std::vector<Package>& packages);

}  // namespace minibox::build
