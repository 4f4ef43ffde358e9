// SPDX-License-Identifier: Apache-2.0
// What is in /dev (spec §12.5).
#pragma once

#include "init/plan.h"
#include "init/protocol.h"

namespace minibox::init {

// Nodes and links into the tmpfs `dev`, which is attached. In a user namespace the host's nodes
// are bound, so this comes before the old root is gone.
bool PopulateDev(const Plan& plan, int dev, Failure& failure);

// Whether `fd` is /dev/null.
bool IsNullDevice(int fd);

}  // namespace minibox::init
