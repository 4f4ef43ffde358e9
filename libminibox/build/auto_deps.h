// SPDX-License-Identifier: Apache-2.0
// AUTO-DEPS: which package managers a directory asks for (spec §7.7).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct Installation {
  std::string file{};   // what was detected: "package-lock.json"
  std::string label{};  // tool and verb: "npm ci"
  std::vector<std::string> argv{};
  std::vector<std::string> env{};  // further variables: "BUNDLE_FROZEN=true"
};

// What `workdir` of `root` asks for, in the order of the table: the first match of each
// ecosystem. `path` is the step's PATH: a tool that is not in it is kFailedPrecondition naming
// file and tool.
StatusOr<std::vector<Installation>> DetectDependencies(const core::RootDir& root,
                                                       const std::string& workdir,
                                                       std::string_view path, bool prod);

}  // namespace minibox::build
