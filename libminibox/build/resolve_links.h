// SPDX-License-Identifier: Apache-2.0
// The path of an entry without links, inside a root.
#pragma once

#include <string>
#include <string_view>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct LinkRules {
  // What does not exist is taken as written; else it is an error.
  bool may_be_missing = false;
  // ".." at the top stays there, as it does for a program in the root; else it is
  // kInvalidArgument.
  bool stays_at_top = true;
};

// Clean and relative, "" is the root. Whoever opens the result follows no link, so that a
// change meanwhile leads nowhere.
StatusOr<std::string> ResolveLinks(const core::RootDir& root, std::string_view path,
                                   const LinkRules& rules);

}  // namespace minibox::build
