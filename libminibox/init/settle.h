// SPDX-License-Identifier: Apache-2.0
// What every process of minibox-init does first.
#pragma once

#include "init/sys.h"

namespace minibox::init {

// Blocks all signals, so that nothing sent to the engine's processes is meant for a container;
// children inherit the mask and read signals one by one. Raises the limit on descriptors, since a
// launch may bring more than the usual 1024, and gives in `nofile` what was before. False if
// there is no root directory.
bool Settle(sys::Limit* nofile);

}  // namespace minibox::init
