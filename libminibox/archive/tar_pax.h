// SPDX-License-Identifier: Apache-2.0
// Records of a pax extended header: "<length> <key>=<value>\n". Pure functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "minibox/status.h"

namespace minibox::archive {

using PaxRecords = std::map<std::string, std::string, std::less<>>;

// Of equal keys the last wins; the pairs of GNU.sparse.offset and .numbytes (sparse format 0.0)
// become one GNU.sparse.map (format 0.1). kInvalidArgument "invalid_archive".
StatusOr<PaxRecords> ParsePaxRecords(std::string_view text);

// "12.5" -> 12 s 500,000,000 ns; digits beyond nanoseconds are dropped, seconds round down.
struct PaxTime {
  int64_t seconds = 0;
  uint32_t nanoseconds = 0;
};
std::optional<PaxTime> ParsePaxTime(std::string_view text);
// The shortest form.
std::string FormatPaxTime(const PaxTime& time);

// One record with its length.
std::string FormatPaxRecord(std::string_view key, std::string_view value);

}  // namespace minibox::archive
