// SPDX-License-Identifier: Apache-2.0
#include "kernel/features.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "core/file.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "kernel/syscalls.h"

namespace minibox::kernel {
namespace {

bool HasCloneIntoCgroup() {
  // A descriptor that is no cgroup: EBADF where the flag is known, EINVAL or E2BIG elsewhere.
  // Either way there is no child.
  const core::Fd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return false;
  struct clone_args arguments;
  memset(&arguments, 0, sizeof arguments);
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.cgroup = static_cast<uint64_t>(root.get());
  return Clone3(arguments) == -1 && errno == EBADF;
}

bool HasIdmappedMounts() {
  // The attributes are checked before the path is looked at: a descriptor that cannot exist
  // is EBADF where MOUNT_ATTR_IDMAP is known.
  struct mount_attr attributes;
  memset(&attributes, 0, sizeof attributes);
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = INT_MAX;
  return MountSetAttr(AT_FDCWD, "", AT_EMPTY_PATH, attributes) == -1 && errno == EBADF;
}

bool HasUserNamespaces() {
  if (access("/proc/self/ns/user", F_OK) != 0) return false;
  const auto limit = core::ReadFileAt(AT_FDCWD, "/proc/sys/user/max_user_namespaces", 64);
  return !limit.ok() || core::TrimSpace(*limit) != "0";
}

void ProbeOverlay(Features& features) {
  const core::Fd fs = FsOpen("overlay");
  features.overlay = fs.valid();
  if (!features.overlay) return;
  // Each on a context of its own: a refused parameter must not be counted for the other.
  features.overlay_appended = FsConfigString(fs.get(), "lowerdir+", "/") == 0 &&
                              // Before 6.5 any name is taken.
                              FsConfigString(fs.get(), "minibox", "/") != 0;
  const core::Fd other = FsOpen("overlay");
  const core::Fd root(open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  features.overlay_descriptors = FsConfigFd(other.get(), "lowerdir+", root.get()) == 0;
}

}  // namespace

std::vector<std::pair<std::string, bool>> Features::List() const {
  return {{"openat2", openat2},
          {"pidfd", pidfd},
          {"clone_into_cgroup", clone_into_cgroup},
          {"idmapped_mounts", idmapped_mounts},
          {"user_namespaces", user_namespaces},
          {"seccomp", seccomp},
          {"overlay", overlay},
          {"overlay_appended", overlay_appended},
          {"overlay_descriptors", overlay_descriptors}};
}

Features ProbeFeatures() {
  Features features;
  features.openat2 = core::sys::HaveOpenat2();
  features.pidfd = core::Fd(core::sys::PidfdOpen(getpid())).valid();
  features.clone_into_cgroup = HasCloneIntoCgroup();
  features.idmapped_mounts = HasIdmappedMounts();
  features.user_namespaces = HasUserNamespaces();
  features.seccomp = SeccompActionAvailable(SECCOMP_RET_ERRNO);
  ProbeOverlay(features);
  return features;
}

const Features& HostFeatures() {
  static const Features features = ProbeFeatures();
  return features;
}

}  // namespace minibox::kernel
