// SPDX-License-Identifier: Apache-2.0
#include "runtime/start_failure.h"

#include <unistd.h>

#include "core/strings.h"
#include "minibox/runtime.h"

namespace minibox::runtime {

Status AsStartFailure(const Status& status) {
  if (status.ok() || !status.reason().empty() || status.code() == StatusCode::kCancelled) {
    return status;
  }
  if (status.code() == StatusCode::kPermissionDenied && geteuid() != 0) {
    return Status(
        status.code(), core::StrCat("containers need root: ", status.message()),
        {.sys_errno = status.sys_errno(), .reason = "missing_privilege", .field = status.field()});
  }
  return Status(
      StatusCode::kInternal, status.message(),
      {.sys_errno = status.sys_errno(), .reason = "start_failed", .field = status.field()});
}

}  // namespace minibox::runtime

namespace minibox {
inline namespace v1 {

int StartFailureExitCode(const Status& status) {
  constexpr int kEngineFailed = 125, kNotExecutable = 126, kNotFound = 127;
  if (status.ok()) return 0;
  if (status.reason() == "command_not_found") return kNotFound;
  if (status.reason() == "command_not_executable") return kNotExecutable;
  return kEngineFailed;
}

}  // namespace v1
}  // namespace minibox
