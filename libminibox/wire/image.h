// SPDX-License-Identifier: Apache-2.0
// ImageInfo <-> JSON (spec §5.3).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/store.h"

namespace minibox::wire {

std::string ToJson(const ImageInfo& info);
std::string ToJson(const std::vector<ImageInfo>& images);  // array in the given order
StatusOr<ImageInfo> ParseImage(std::string_view text);
StatusOr<std::vector<ImageInfo>> ParseImages(std::string_view text);

// "linux/arm64/v8".
std::string ToString(const Platform& platform);

}  // namespace minibox::wire
