// SPDX-License-Identifier: Apache-2.0
// The default seccomp profile (spec §12.9), compiled to BPF ahead of the launch.
#pragma once

#include <cstdint>
#include <string>

#include "minibox/status.h"

namespace minibox::kernel {

// An array of struct sock_filter as bytes, for the native architecture and its 32-bit
// sibling, granting what the profile ties to `capabilities` (a mask). Compiled once per
// mask and process; later calls return the cached program. Thread-safe.
StatusOr<std::string> DefaultSeccompProgram(uint64_t capabilities);

}  // namespace minibox::kernel
