// SPDX-License-Identifier: Apache-2.0
#include "core/failpoint.h"

#include <csignal>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::core {

std::atomic<bool> failpoints_active = false;

namespace {
std::atomic<int> fail_nth = 0;
std::atomic<int> kill_nth = 0;
std::atomic<int> passed = 0;
}  // namespace

Status CheckFailpoint(std::string_view name) {
  const int number = passed.fetch_add(1) + 1;
  if (number == kill_nth.load()) (void)raise(SIGKILL);
  if (number != fail_nth.load()) return Status();
  return Error(StatusCode::kInternal, "failpoint", StrCat("injected failure at ", name));
}

void SetFailNth(int n) {
  fail_nth = n;
  passed = 0;
  failpoints_active = true;
}

void SetKillNth(int n) {
  kill_nth = n;
  passed = 0;
  failpoints_active = true;
}

void ClearFailpoints() {
  failpoints_active = false;
  fail_nth = 0;
  kill_nth = 0;
  passed = 0;
}

int FailpointsPassed() { return passed.load(); }

}  // namespace minibox::core
