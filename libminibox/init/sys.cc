// SPDX-License-Identifier: Apache-2.0
#include "init/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

// The numbers are the same on every architecture.
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

namespace minibox::init::sys {
namespace {

template <typename... Args>
int Call(long number, Args... args) {
  long result;
  do {
    result = syscall(number, args...);
  } while (result < 0 && errno == EINTR);
  return static_cast<int>(result);
}

}  // namespace

int OpenTree(int dir, const char* path, unsigned flags) {
  return Call(SYS_open_tree, dir, path, flags | O_CLOEXEC);
}
int MoveMount(int from, int to_dir, const char* to, unsigned flags) {
  return Call(SYS_move_mount, from, "", to_dir, to, flags | MOVE_MOUNT_F_EMPTY_PATH);
}
int FsOpen(const char* name) { return Call(SYS_fsopen, name, FSOPEN_CLOEXEC); }
int FsConfig(int fs, unsigned command, const char* key, const char* value, int aux) {
  return Call(SYS_fsconfig, fs, command, key, value, aux);
}
int FsMount(int fs, uint64_t attributes) {
  return Call(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}
int MountSetAttr(int dir, unsigned flags, mount_attr* attributes) {
  return Call(SYS_mount_setattr, dir, "", flags | AT_EMPTY_PATH, attributes, sizeof *attributes);
}
int MakeAllPrivate() {
  return Call(SYS_mount, nullptr, "/", nullptr, kMsRec | kMsPrivate, nullptr);
}
int Mount(const char* source, const char* target, const char* type, const char* data) {
  return Call(SYS_mount, source, target, type, 0, data);
}
int PivotRoot(const char* new_root, const char* put_old) {
  return Call(SYS_pivot_root, new_root, put_old);
}
int Unmount(const char* path, int flags) { return Call(SYS_umount2, path, flags); }

int OpenAt2(int dir, const char* path, const open_how& how) {
  open_how copy = how;
  copy.flags |= O_CLOEXEC;
  // With RESOLVE_IN_ROOT the kernel gives up when something is renamed meanwhile.
  constexpr int kAttempts = 64;
  for (int i = 0;; ++i) {
    const int fd = Call(SYS_openat2, dir, path, &copy, sizeof copy);
    if (fd >= 0 || errno != EAGAIN || i == kAttempts) return fd;
  }
}
int CloseRange(unsigned first, unsigned last, unsigned flags) {
  return Call(SYS_close_range, first, last, flags);
}

pid_t Clone3(clone_args& args) {
  const pid_t pid = Call(SYS_clone3, &args, sizeof args);
  // Container engines that we may be running in deny clone3, whose flags their filters cannot see.
  // CLONE_INTO_CGROUP is beyond what clone takes: nobody asks for it who has not found it there.
  if (pid >= 0 || (errno != ENOSYS && errno != EPERM) || args.flags >> 32 != 0) return pid;
  return Call(SYS_clone, args.flags | args.exit_signal, 0, args.pidfd, 0, 0);
}
int Unshare(uint64_t flags) { return Call(SYS_unshare, flags); }
int SetNs(int pidfd, uint64_t namespaces) { return Call(SYS_setns, pidfd, namespaces); }
int PidfdOpen(pid_t pid) { return Call(SYS_pidfd_open, pid, 0); }
int PidfdSendSignal(int pidfd, int signal) {
  return Call(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
}

int SetUid(uid_t uid) { return Call(SYS_setresuid, uid, uid, uid); }
int SetGid(gid_t gid) { return Call(SYS_setresgid, gid, gid, gid); }
int SetGroups(size_t count, const gid_t* groups) { return Call(SYS_setgroups, count, groups); }
void SetFsUid(uid_t uid) { (void)Call(SYS_setfsuid, uid); }  // tells the old one, never fails
void SetFsGid(gid_t gid) { (void)Call(SYS_setfsgid, gid); }
int SetSeccompFilter(const void* sock_fprog) {
  return Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, sock_fprog);
}
int JoinNewSessionKeyring() { return Call(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr); }

int CapGet(CapabilitySets* sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  if (Call(SYS_capget, &header, data) != 0) return -1;
  sets->effective = data[0].effective | static_cast<uint64_t>(data[1].effective) << 32;
  sets->permitted = data[0].permitted | static_cast<uint64_t>(data[1].permitted) << 32;
  sets->inheritable = data[0].inheritable | static_cast<uint64_t>(data[1].inheritable) << 32;
  return 0;
}
int CapSet(const CapabilitySets& sets) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const __user_cap_data_struct data[2] = {
      {static_cast<uint32_t>(sets.effective), static_cast<uint32_t>(sets.permitted),
       static_cast<uint32_t>(sets.inheritable)},
      {static_cast<uint32_t>(sets.effective >> 32), static_cast<uint32_t>(sets.permitted >> 32),
       static_cast<uint32_t>(sets.inheritable >> 32)}};
  return Call(SYS_capset, &header, data);
}

int PrLimit(pid_t pid, int resource, const Limit* set, Limit* old) {
  return Call(SYS_prlimit64, pid, resource, set, old);
}
int GetCwd(char* buffer, size_t size) { return Call(SYS_getcwd, buffer, size); }

}  // namespace minibox::init::sys
