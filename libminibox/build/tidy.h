// SPDX-License-Identifier: Apache-2.0
// Turns what a step has left in its upper directory into what a layer may hold: the same bytes
// whatever the time and the machine, and nothing that says nothing (spec §8.5-8.7).
#pragma once

#include <cstdint>
#include <map>
#include <stop_token>
#include <string>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct TidyOptions {
  int64_t epoch = 0;  // later mtimes become this
  // What set-up may have made: path -> mode. Gone if it is still empty, as it was made, and
  // nothing below has it.
  std::map<std::string, mode_t, std::less<>> made{};
};

struct Tidied {
  bool empty = false;  // nothing is left: the step changed nothing
  uint64_t bytes = 0;  // of files
};

// Removes sockets, whiteouts and opaque marks that hide nothing of `below` (the merged view of
// what lies under the tree), directories that hold nothing and equal those below, attributes
// that go into no layer; sets times. `tree` is mounted nowhere.
StatusOr<Tidied> Tidy(const core::RootDir& tree, const core::RootDir& below,
                      const TidyOptions& options, std::stop_token stop);

}  // namespace minibox::build
