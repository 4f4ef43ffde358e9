// SPDX-License-Identifier: Apache-2.0
// What the failure of a start is to those who asked for it (spec §12.2).
#pragma once

#include "minibox/status.h"

namespace minibox::runtime {

// Errors that say what to do keep their reason; what the kernel denies to a process that is not
// root is kPermissionDenied "missing_privilege"; everything else becomes kInternal "start_failed"
// with the message kept.
Status AsStartFailure(const Status& status);

}  // namespace minibox::runtime
