// SPDX-License-Identifier: Apache-2.0
// MBX_CHECK(condition): for our own bugs, never for input or the kernel. Aborts.
#pragma once

namespace minibox::core {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}  // namespace minibox::core

#define MBX_CHECK(condition)          \
  ((condition) ? static_cast<void>(0) \
               : ::minibox::core::CheckFailed(#condition, __FILE__, __LINE__))
