// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string_view>

#include "minibox/export.h"

namespace minibox {
inline namespace v1 {

enum class LogSeverity { kDebug, kInfo, kWarning, kError };
struct LogRecord {
  LogSeverity severity;
  std::string_view module;  // "store", "runtime", …
  std::string_view message;
};
// The library never writes to stderr; records go here. Default: dropped. Called
// from any library thread.
MINIBOX_EXPORT void SetLogSink(std::function<void(const LogRecord&)> sink);

}  // namespace v1
}  // namespace minibox
