// SPDX-License-Identifier: Apache-2.0
// Seccomp profiles of users: the OCI object, in the form of the specification and in the one with
// `names`, `includes` and `excludes` that engines distribute (spec §12.9).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"

namespace minibox::kernel {

struct CompiledProfile {
  std::string program{};                // struct sock_filter array as bytes
  std::vector<std::string> warnings{};  // system calls that nobody knows, flags without effect
};

// For the native architecture and those that the profile names; a call of any other gets ENOSYS.
// `capabilities` decides includes and excludes. kInvalidArgument with a field such as
// seccomp.syscalls[3].args[0].op.
StatusOr<CompiledProfile> CompileOciSeccomp(std::string_view profile, uint64_t capabilities);

}  // namespace minibox::kernel
