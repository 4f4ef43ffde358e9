// SPDX-License-Identifier: Apache-2.0
#include "kernel/syscalls.h"

#include <linux/bpf.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "kernel/device_filter.h"

namespace minibox::kernel {
namespace {

template <typename Call>
auto RetryEintr(Call call) {
  while (true) {
    const auto result = call();
    if (result != -1 || errno != EINTR) return result;
  }
}

}  // namespace

core::Fd FsOpen(const char* file_system) {
  return core::Fd(RetryEintr([&] { return fsopen(file_system, FSOPEN_CLOEXEC); }));
}

int FsConfigString(int fs, const char* key, const char* value) {
  return RetryEintr([&] { return fsconfig(fs, FSCONFIG_SET_STRING, key, value, 0); });
}

int FsConfigFd(int fs, const char* key, int value) {
  return RetryEintr([&] { return fsconfig(fs, FSCONFIG_SET_FD, key, nullptr, value); });
}

int FsConfigCreate(int fs) {
  return RetryEintr([&] { return fsconfig(fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0); });
}

core::Fd FsMount(int fs, unsigned attributes) {
  return core::Fd(RetryEintr([&] { return fsmount(fs, FSMOUNT_CLOEXEC, attributes); }));
}

core::Fd CloneTree(int dir) {
  return core::Fd(RetryEintr(
      [&] { return open_tree(dir, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC); }));
}

int MountSetAttr(int dir, const char* path, unsigned flags, struct mount_attr attributes) {
  return RetryEintr(
      [&] { return mount_setattr(dir, path, flags, &attributes, sizeof attributes); });
}

std::string FsMessage(int fs) {
  const int saved = errno;
  std::string last;
  char buffer[512];
  // One message per read, oldest first, each "e <text>", "w <text>" or "i <text>"; ENODATA ends.
  while (true) {
    const ssize_t length = RetryEintr([&] { return read(fs, buffer, sizeof buffer); });
    if (length <= 0) break;
    if (length > 2 && buffer[0] == 'e') last.assign(buffer + 2, static_cast<size_t>(length - 2));
  }
  while (!last.empty() && last.back() == '\n') last.pop_back();
  errno = saved;
  return last;
}

int Unmount(const char* path, int flags) {
  return RetryEintr([&] { return umount2(path, flags); });
}

pid_t Clone3(const struct clone_args& arguments) {
  return static_cast<pid_t>(
      RetryEintr([&] { return syscall(SYS_clone3, &arguments, sizeof arguments); }));
}

core::Fd LoadDeviceFilter(const std::vector<struct bpf_insn>& program) {
  static constexpr char kLicense[] = "Apache-2.0";
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insn_cnt = static_cast<uint32_t>(program.size());
  attr.insns = reinterpret_cast<uint64_t>(program.data());
  attr.license = reinterpret_cast<uint64_t>(kLicense);
  long fd;
  do {
    fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    // EAGAIN: a signal came while the program was being checked.
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  return core::Fd(static_cast<int>(fd));
}

int AttachDeviceFilter(int cgroup, int program) {
  union bpf_attr attr;
  memset(&attr, 0, sizeof attr);
  attr.target_fd = static_cast<uint32_t>(cgroup);
  attr.attach_bpf_fd = static_cast<uint32_t>(program);
  attr.attach_type = BPF_CGROUP_DEVICE;
  attr.attach_flags = BPF_F_ALLOW_MULTI;
  return static_cast<int>(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof attr));
}

bool DeviceFilterAvailable() {
  static const bool available = LoadDeviceFilter(CompileDeviceFilter({})).valid();
  return available;
}

bool SeccompActionAvailable(uint32_t action) {
  return RetryEintr([&] { return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action); }) ==
         0;
}

}  // namespace minibox::kernel
