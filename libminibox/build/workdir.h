// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "build/owners.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

// Makes the directory `path` (absolute) in the writable view `root` unless it is there: 0755 and
// `owner`; missing parents belong to 0:0 (spec §7.3).
Status MakeWorkdir(const core::RootDir& root, const std::string& path, const Owner& owner);

}  // namespace minibox::build
