// SPDX-License-Identifier: Apache-2.0
// The user's terminal while its keys are another terminal's.
#pragma once

namespace minibox::cli {

// Puts the terminal `fd` into raw mode and, whatever happens, back: when it is destroyed, when the
// program exits, and when a signal ends it that nobody handles. At most one at a time; of a `fd`
// that is no terminal it changes nothing.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  ~RawTerminal();
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;
};

}  // namespace minibox::cli
