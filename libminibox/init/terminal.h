// SPDX-License-Identifier: Apache-2.0
// Pseudo-terminals of a container's own devpts.
#pragma once

#include <stdint.h>

#include "init/held.h"
#include "init/protocol.h"

namespace minibox::init {

// A new terminal of the container whose root directory is `root`. By descriptor all the way: a
// container that has put something else in the place of /dev/pts gets an error, not our trust.
bool OpenTerminal(int root, uint16_t rows, uint16_t cols, Held& master, Held& slave,
                  Failure& failure);

// /dev/console of the root becomes this terminal.
bool BindConsole(int root, int slave, Failure& failure);

bool SetTerminalSize(int terminal, uint16_t rows, uint16_t cols);

}  // namespace minibox::init
