// SPDX-License-Identifier: Apache-2.0
// Another network namespace, without moving this process into it.
#pragma once

#include <sys/types.h>

#include <functional>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::kernel {

// The network namespace of a process. kNotFound if there is no such process.
StatusOr<core::Fd> OpenNetns(pid_t pid);
// Runs `function` on a thread of its own inside, and waits for it: namespaces belong to threads,
// so that nobody else notices.
Status RunInNetns(int netns, const std::function<Status()>& function);
// A NETLINK_ROUTE socket that lives in `netns`, made by a thread of its own that ends at once.
StatusOr<core::Fd> OpenRtnetlinkIn(int netns);

}  // namespace minibox::kernel
