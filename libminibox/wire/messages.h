// SPDX-License-Identifier: Apache-2.0
// The small JSON forms of the API: errors, one-line results, progress, volumes, networks,
// version (spec §4.2, §5.7-5.10).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/runtime.h"
#include "minibox/status.h"
#include "minibox/store.h"

namespace minibox::wire {

struct ErrorMessage {
  std::string code{};     // "image_not_found"
  std::string message{};  // for people
  std::string field{};    // "" unless one is at fault
};
std::string ToJson(const ErrorMessage& error);
// nullopt if `text` is not an error object.
std::optional<ErrorMessage> ParseError(std::string_view text);

// {"id","message"}: what a client that asks for JSON gets instead of one text line.
std::string ResultLine(std::string_view id, std::string_view message);

// Lines of application/x-ndjson, with line end.
std::string LogLine(std::string_view text);
// `image` is given on success of what makes one; `error` is not OK on failure.
std::string FinalLine(const Status& error, const ImageInfo* image = nullptr);

std::string ToJson(const VolumeInfo& volume);
std::string ToJson(const std::vector<VolumeInfo>& volumes);
StatusOr<VolumeInfo> ParseVolume(std::string_view text);
StatusOr<std::vector<VolumeInfo>> ParseVolumes(std::string_view text);

struct VersionInfo {
  std::string version{}, os{}, architecture{}, kernel{};
};
std::string ToJson(const VersionInfo& version);

}  // namespace minibox::wire
