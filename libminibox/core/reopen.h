// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

// Opens what an O_PATH descriptor of something that is no link stands for: so it can be looked at
// before it is opened, and is opened whatever has its name by then. O_CLOEXEC is added.
StatusOr<Fd> Reopen(int fd, int flags);

}  // namespace minibox::core
