// SPDX-License-Identifier: Apache-2.0
// `volumes`, `named_volumes` and `tmpfs` of a run request (spec §4.3, options §12.4).
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "minibox/runtime.h"
#include "wire/fields.h"

namespace minibox::wire {

// Appends to `mounts`.
void ReadMounts(FieldReader& fields, std::vector<Mount>* mounts);
// The three fields as far as there are such mounts, within an open object.
void WriteMounts(json::Writer& writer, const std::vector<Mount>& mounts);

}  // namespace minibox::wire
