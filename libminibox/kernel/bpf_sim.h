// SPDX-License-Identifier: Apache-2.0
// Runs a seccomp filter in user space: what would the kernel answer to this call? For checking
// a program completely without installing it.
#pragma once

#include <linux/seccomp.h>

#include <cstdint>
#include <string_view>

#include "minibox/status.h"

namespace minibox::kernel {

// `program`: an array of struct sock_filter as bytes. Gives the SECCOMP_RET_* value. What the
// kernel would not load (a jump out of the program, an unaligned load, an end without return)
// or what only it knows (an instruction that we do not use) is kInvalidArgument. `steps` gets
// the number of instructions run.
StatusOr<uint32_t> RunBpf(std::string_view program, const struct seccomp_data& data,
                          int* steps = nullptr);

}  // namespace minibox::kernel
