// SPDX-License-Identifier: Apache-2.0
// What the default seccomp profile of spec §12.9 decides, as data: for an architecture and a
// set of capabilities the outcome of every system call number.
#pragma once

#include <cstdint>
#include <vector>

namespace minibox::kernel {

enum class SeccompArch : uint8_t { kX86_64, kI386, kArm64, kArm };

uint32_t AuditArch(SeccompArch arch);  // AUDIT_ARCH_*, as seccomp_data.arch has it
// The architecture of this program, then its 32-bit sibling.
std::vector<SeccompArch> NativeSeccompArchs();

enum class SeccompOutcome : uint8_t {
  kAllow,
  kEperm,
  kEnosys,
  // By the first argument.
  kCloneFlags,    // kEperm with a CLONE_NEW* flag
  kSocketFamily,  // kEperm for AF_ALG and AF_VSOCK
  kPersonality,   // kEperm but for the five harmless values
};

// Numbers from `first` up to the next range, or to the last number there is.
struct SyscallRange {
  uint32_t first = 0;
  SeccompOutcome outcome = SeccompOutcome::kEnosys;
};

// Ascending from 0; neighbours differ. Numbers are those of Linux 6.13 whatever the headers at
// build time know; later ones are kEnosys.
std::vector<SyscallRange> DefaultSeccompProfile(SeccompArch arch, uint64_t capabilities);

}  // namespace minibox::kernel
