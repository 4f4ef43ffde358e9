// SPDX-License-Identifier: Apache-2.0
// ContainerDetails -> JSON (spec §5.2).
#pragma once

#include <string>

#include "minibox/runtime.h"

namespace minibox::wire {

// One object, without line end: the keys of ContainerInfo, then the details.
std::string ToJson(const ContainerDetails& details);

}  // namespace minibox::wire
