// SPDX-License-Identifier: Apache-2.0
// Another network namespace, without moving this process into it.
#pragma once

#include <sys/types.h>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::kernel {

// The network namespace of a process. kNotFound if there is no such process.
StatusOr<core::Fd> OpenNetns(pid_t pid);
// A NETLINK_ROUTE socket that lives in `netns`, made by a thread of its own that ends at once.
StatusOr<core::Fd> OpenRtnetlinkIn(int netns);

}  // namespace minibox::kernel
