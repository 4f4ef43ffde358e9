// SPDX-License-Identifier: Apache-2.0
// Published ports as text, for front ends.
#pragma once

#include "core/port_text.h"

namespace minibox::wire {

using core::ContainerSide;
using core::HostSide;
using core::ParsePorts;

}  // namespace minibox::wire
