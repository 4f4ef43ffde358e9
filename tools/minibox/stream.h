// SPDX-License-Identifier: Apache-2.0
// The user's side of a process's stream (spec §4.4, §15.1).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "client.h"
#include "commands.h"

namespace minibox::cli {

struct StreamOptions {
  bool input = false;     // our stdin is its stdin
  bool terminal = false;  // it has a terminal: ours is raw meanwhile and tells its size
  std::string detach_keys{};
};

struct StreamEnd {
  std::optional<int> code{};  // nullopt: the daemon did not say, which has been shown
  bool detached = false;      // by the keys
};

// Carries bytes, sizes and signals (INT, TERM, HUP, QUIT, USR1, USR2) until the process has ended.
StreamEnd CarryStream(Session& session, StreamConnection& stream, const StreamOptions& options);

// "ctrl-p,ctrl-q", "a", "ctrl-@" -> bytes. Empty: no keys. False if malformed.
bool ParseDetachKeys(std::string_view text, std::string* keys);

// rows and cols of the user's terminal, if it is wanted and there is one.
Query SizeQuery(bool wanted);

}  // namespace minibox::cli
