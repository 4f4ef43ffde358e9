// SPDX-License-Identifier: Apache-2.0
// Removal of hostile trees: links are never followed, mount points never entered, depth and
// width cost neither stack nor descriptors. Behind core/root_dir.h.
#pragma once

#include <string>

#include "minibox/status.h"

namespace minibox::core {

// Removes the entry `name`, one component, of the directory `parent`, and everything below.
// Absent is OK. Goes on after an error and returns the first.
Status RemoveTree(int parent, const std::string& name);

}  // namespace minibox::core
