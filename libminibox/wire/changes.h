// SPDX-License-Identifier: Apache-2.0
// Changes of a file system <-> JSON (spec §4.5, GET /containers/diff).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/container_files.h"
#include "minibox/status.h"

namespace minibox::wire {

char KindLetter(FileChange::Kind kind);  // 'A', 'C', 'D'
// An array, without line end.
std::string ToJson(const std::vector<FileChange>& changes);
StatusOr<std::vector<FileChange>> ParseChanges(std::string_view text);

}  // namespace minibox::wire
