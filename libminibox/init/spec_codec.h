// SPDX-License-Identifier: Apache-2.0
// A LaunchSpec as the bytes of a launch message; init/plan.h decodes them.
#pragma once

#include <string>
#include <string_view>

#include "init/launch_spec.h"
#include "init/plan.h"
#include "minibox/status.h"

namespace minibox::init {

// kInvalidArgument, with the field named, for what cannot be sent: no argv, a NUL byte in a
// string, a bind without descriptor, more than kMaxLaunchBytes.
StatusOr<std::string> EncodeLaunchSpec(const LaunchSpec& spec, const LaunchFdCounts& fds,
                                       std::string_view cgroup_path);

}  // namespace minibox::init
