// SPDX-License-Identifier: Apache-2.0
// System calls that the C library does not have, or wraps with things that minibox-init does
// not want (threads, path strings). All as the kernel defines them: -1 and errno on failure.
// New descriptors are close-on-exec. Only in minibox-init.
#pragma once

#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Flags that the C library's headers guard with its own versions of the calls.
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif

namespace minibox::init::sys {

// Propagation, as mount(2) and mount_setattr(2) know it.
inline constexpr uint64_t kMsRec = 1 << 14;
inline constexpr uint64_t kMsPrivate = 1 << 18;
inline constexpr uint64_t kMsSlave = 1 << 19;
inline constexpr uint64_t kMsShared = 1 << 20;
inline constexpr int kDetach = 2;  // MNT_DETACH

int OpenTree(int dir, const char* path, unsigned flags);
int MoveMount(int from, int to_dir, const char* to, unsigned flags);
int FsOpen(const char* name);
int FsConfig(int fs, unsigned command, const char* key, const char* value, int aux);
int FsMount(int fs, uint64_t attributes);
int MountSetAttr(int dir, unsigned flags, mount_attr* attributes);
int MakeAllPrivate();  // mount(2) on / with MS_REC | MS_PRIVATE
int Mount(const char* source, const char* target, const char* type, const char* data);
int PivotRoot(const char* new_root, const char* put_old);
int Unmount(const char* path, int flags);

int OpenAt2(int dir, const char* path, const open_how& how);
int CloseRange(unsigned first, unsigned last, unsigned flags);

pid_t Clone3(clone_args& args);
int Unshare(uint64_t flags);
int SetNs(int pidfd, uint64_t namespaces);  // those of the process
int PidfdOpen(pid_t pid);
int PidfdSendSignal(int pidfd, int signal);

// For the calling thread only, which is all there is.
int SetUid(uid_t uid);
int SetGid(gid_t gid);
int SetGroups(size_t count, const gid_t* groups);
void SetFsUid(uid_t uid);
void SetFsGid(gid_t gid);
int SetSeccompFilter(const void* sock_fprog);
int JoinNewSessionKeyring();

struct CapabilitySets {
  uint64_t effective, permitted, inheritable;
};
int CapGet(CapabilitySets* sets);
int CapSet(const CapabilitySets& sets);

// As setrlimit(2), of another process if `pid` is not 0. Either may be null.
struct Limit {
  uint64_t soft, hard;
};
int PrLimit(pid_t pid, int resource, const Limit* set, Limit* old);
// The path of the working directory as the kernel sees it: it begins with "(unreachable)" if
// it is outside the root.
int GetCwd(char* buffer, size_t size);

}  // namespace minibox::init::sys
