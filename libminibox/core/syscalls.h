// SPDX-License-Identifier: Apache-2.0
// System calls that the C library does not wrap, as it would: the result, or -1 and errno.
// EINTR is retried. What each needs and what stands in for it: docs/kernel-features.md.
#pragma once

#include <linux/openat2.h>
#include <sched.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace minibox::core::sys {

int Openat2(int dir, const char* path, const struct open_how& how);
// False if the kernel, or a filter around this process, has no openat2. Asked once.
bool HaveOpenat2();

int PidfdOpen(pid_t pid);
int PidfdSendSignal(int pidfd, int signal);
int Renameat2(int from_dir, const char* from, int to_dir, const char* to, unsigned flags);
int CloseRange(unsigned first, unsigned last, unsigned flags);
int Execveat(int dir, const char* path, const char* const* argv, const char* const* env, int flags);

// Blocks every signal of the calling thread, those of the threading library included, and gives
// the mask before; one word is the kernel's whole set.
uint64_t BlockAllSignals();
void SetSignalMask(uint64_t mask);
// The default action, without the C library's bookkeeping: usable in a child that shares memory.
void ResetSignal(int signal);

// clone3, or clone where that is denied: runs child(argument) in a new process on `stack` and
// returns its pid. The child never returns from `child`. `flags` are such that both know.
pid_t Clone3(uint64_t flags, int* pidfd, void* stack, size_t stack_size, void (*child)(void*),
             void* argument);

}  // namespace minibox::core::sys
