// SPDX-License-Identifier: Apache-2.0
#include "core/check.h"

#include <cstdlib>

#include "core/log.h"
#include "core/strings.h"

namespace minibox::core {

void CheckFailed(const char* condition, const char* file, int line) {
  Log(LogSeverity::kError, "core", StrCat(file, ":", line, ": check failed: ", condition));
  std::abort();
}

}  // namespace minibox::core
