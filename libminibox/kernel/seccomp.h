// SPDX-License-Identifier: Apache-2.0
// The default seccomp profile (spec §12.9), compiled to BPF ahead of the launch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/seccomp_profile.h"
#include "minibox/status.h"

namespace minibox::kernel {

// An array of struct sock_filter as bytes, for the native architecture and its 32-bit
// sibling, granting what the profile ties to `capabilities` (a mask). Compiled once per
// mask and process; later calls return the cached program. Thread-safe.
StatusOr<std::string> DefaultSeccompProgram(uint64_t capabilities);

struct ArchProfile {
  uint32_t audit_arch = 0;
  std::vector<SyscallRange> ranges{};
};
// The program for these architectures; ENOSYS for every other. A binary search over the
// ranges: loading costs by the instruction, so there are few, and a call passes about ten.
StatusOr<std::string> CompileSeccomp(const std::vector<ArchProfile>& profiles);

}  // namespace minibox::kernel
