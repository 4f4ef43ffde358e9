// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "minibox/export.h"

#define MINIBOX_VERSION_MAJOR 0
#define MINIBOX_VERSION_MINOR 1
#define MINIBOX_VERSION_PATCH 0

namespace minibox {
inline namespace v1 {
// Of the library in the process, which may be newer than the headers.
MINIBOX_EXPORT std::string_view LibraryVersion();
// Capabilities added since 0.1, e.g. "pull.zstd"; see docs/features.md.
MINIBOX_EXPORT bool HasFeature(std::string_view name);
}  // namespace v1
}  // namespace minibox
