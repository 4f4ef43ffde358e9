// SPDX-License-Identifier: Apache-2.0
// .miniboxignore: what of the context no build may read (spec §7.5). Rules of gitignore.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

class IgnoreRules {
 public:
  IgnoreRules() = default;  // nothing is ignored
  // `anchored`: also patterns without '/' match at the top only (.dockerignore).
  static IgnoreRules Parse(std::string_view text, bool anchored);

  // Whether the entry `path` (clean, relative), whose parents are not ignored, is.
  bool Ignores(std::string_view path, bool directory) const;
  // The same for any path: below an ignored directory everything is.
  bool IgnoresWithParents(std::string_view path, bool directory) const;
  bool empty() const { return rules_.empty(); }

 private:
  struct Rule {
    std::vector<std::string> components;
    bool negated = false, directories_only = false;
  };
  std::vector<Rule> rules_;
};

// .miniboxignore in the context root, else .dockerignore, else none. kInvalidArgument
// "invalid_context" beyond 1 MiB.
StatusOr<IgnoreRules> ReadIgnoreRules(const core::RootDir& context);

}  // namespace minibox::build
