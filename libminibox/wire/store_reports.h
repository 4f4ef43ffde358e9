// SPDX-License-Identifier: Apache-2.0
// What the store and the system say of themselves: details and history of an image, reports of
// prune, disk usage and verification, system information (spec §4.5, §5.6, §5.10).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/store.h"
#include "minibox/system.h"

namespace minibox::wire {

std::string ToJson(const ImageDetails& details);
std::string ToJson(const std::vector<ImageHistory>& history);
StatusOr<std::vector<ImageHistory>> ParseHistory(std::string_view text);

std::string ToJson(const PruneReport& report);
StatusOr<PruneReport> ParsePruneReport(std::string_view text);
std::string ToJson(const PruneVolumesReport& report);
StatusOr<PruneVolumesReport> ParsePruneVolumesReport(std::string_view text);
std::string ToJson(const DiskUsageReport& report, bool items);
StatusOr<DiskUsageReport> ParseDiskUsage(std::string_view text);
std::string ToJson(const VerifyReport& report);
StatusOr<VerifyReport> ParseVerifyReport(std::string_view text);

std::string ToJson(const SystemInfo& info);

}  // namespace minibox::wire
