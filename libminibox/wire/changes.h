// SPDX-License-Identifier: Apache-2.0
// What is said of the files of a container <-> JSON (spec §4.5: diff and copy).
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

// {"name","size","mode","mtime","link_target"}
std::string ToJson(const PathStat& stat);
// The value of X-Minibox-Path-Stat: base64 of it.
std::string EncodePathStat(const PathStat& stat);
StatusOr<PathStat> DecodePathStat(std::string_view header);

}  // namespace minibox::wire
