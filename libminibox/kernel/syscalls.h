// SPDX-License-Identifier: Apache-2.0
// System calls about mounts, and those that ask what the kernel can do, that libc does not wrap
// or wraps without retrying EINTR (core/syscalls.h has those of processes and files). Thin: on
// failure errno is set and the result is an invalid Fd or -1; the caller knows what to say. Every
// call has its row in docs/kernel-features.md.
#pragma once

#include <sys/mount.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/fd.h"

struct bpf_insn;
struct clone_args;

namespace minibox::kernel {

// The mount API by descriptor (5.2; MountSetAttr 5.12). New descriptors are close-on-exec.
core::Fd FsOpen(const char* file_system);
int FsConfigString(int fs, const char* key, const char* value);
int FsConfigFd(int fs, const char* key, int value);
int FsConfigCreate(int fs);
// `attributes`: MOUNT_ATTR_*.
core::Fd FsMount(int fs, unsigned attributes);
core::Fd CloneTree(int dir);  // a detached copy of the mount, of the directory and below
int MountSetAttr(int dir, const char* path, unsigned flags, struct mount_attr attributes);
// What the kernel has to say about the last failure on `fs`, "" if nothing:
// "overlay: upperdir is in-use by another mount". Leaves errno as it was.
std::string FsMessage(int fs);
int Unmount(const char* path, int flags);

// clone3(2) (5.3) without a stack: what fork(2) is if it succeeds, so only for asking the
// kernel with arguments that it must refuse.
pid_t Clone3(const struct clone_args& arguments);
// bpf(2): a BPF_PROG_TYPE_CGROUP_DEVICE program (4.15), and its attachment to a group of version 2.
core::Fd LoadDeviceFilter(const std::vector<struct bpf_insn>& program);
int AttachDeviceFilter(int cgroup, int program);
// Whether such programs can be loaded; asked once.
bool DeviceFilterAvailable();
// Whether seccomp filters may return `action` (4.14).
bool SeccompActionAvailable(uint32_t action);

}  // namespace minibox::kernel
