// SPDX-License-Identifier: Apache-2.0
#include "archive/pseudo_fs.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <iterator>

namespace minibox::archive {
namespace {

constexpr unsigned long kMqueueMagic = 0x19800202, kFuseControlMagic = 0x65735543,
                        kConfigfsMagic = 0x62656570;
constexpr unsigned long kPseudo[] = {
    PROC_SUPER_MAGIC,  SYSFS_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEVPTS_SUPER_MAGIC,
    DEBUGFS_MAGIC,     TRACEFS_MAGIC,  SECURITYFS_MAGIC,   BPF_FS_MAGIC,        SELINUX_MAGIC,
    PSTOREFS_MAGIC,    EFIVARFS_MAGIC, NSFS_MAGIC,         BINFMTFS_MAGIC,      kMqueueMagic,
    kFuseControlMagic, kConfigfsMagic};

}  // namespace

bool IsPseudoFileSystem(int fd) {
  struct statfs found {};
  if (fstatfs(fd, &found) != 0) return true;
  return std::find(std::begin(kPseudo), std::end(kPseudo),
                   static_cast<unsigned long>(found.f_type)) != std::end(kPseudo);
}

}  // namespace minibox::archive
