// SPDX-License-Identifier: Apache-2.0
// Named places where a test can make an operation fail. Compiled in always; one relaxed
// atomic load when nothing is set.
//
//   MBX_FAILPOINT("store.commit");   // returns the injected Status from the function
#pragma once

#include <atomic>
#include <string_view>

#include "minibox/status.h"

namespace minibox::core {

extern std::atomic<bool> failpoints_active;
Status CheckFailpoint(std::string_view name);
// Test only: counts every failpoint passed and makes the n-th (from 1) fail; 0 = none fails.
void SetFailNth(int n);
// Test only: the n-th kills the process, as a power cut would.
void SetKillNth(int n);
void ClearFailpoints();
// How many were passed since the last Set.
int FailpointsPassed();

}  // namespace minibox::core

#define MBX_FAILPOINT(name)                                                     \
  do {                                                                          \
    if (::minibox::core::failpoints_active.load(std::memory_order_relaxed)) {   \
      ::minibox::Status mbx_failpoint_ = ::minibox::core::CheckFailpoint(name); \
      if (!mbx_failpoint_.ok()) return mbx_failpoint_;                          \
    }                                                                           \
  } while (false)
