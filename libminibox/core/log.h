// SPDX-License-Identifier: Apache-2.0
// Records for the embedder's sink (minibox/log.h). Library code logs at debug, and
// warnings only when it carries on. Never log and return the same error.
#pragma once

#include <string_view>

#include "minibox/log.h"

namespace minibox::core {
void Log(LogSeverity severity, std::string_view module, std::string_view message);
inline void LogWarning(std::string_view module, std::string_view message) {
  Log(LogSeverity::kWarning, module, message);
}
inline void LogDebug(std::string_view module, std::string_view message) {
  Log(LogSeverity::kDebug, module, message);
}
}  // namespace minibox::core
