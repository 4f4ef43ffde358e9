// SPDX-License-Identifier: Apache-2.0
#include "init/setup_mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/fill_volume.h"
#include "init/held.h"
#include "init/resolve.h"
#include "init/setup_dev.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

using Kind = PlannedMount::Kind;

constexpr char kMountsField[] = "volumes";
constexpr char kDevOptions[] = "mode=755,size=65536k";
constexpr char kDevptsOptions[] = "newinstance,ptmxmode=0666,mode=0620,gid=5";

const char* TypeOf(Kind kind) {
  switch (kind) {
    case Kind::kProc:
      return "proc";
    case Kind::kSysfs:
      return "sysfs";
    case Kind::kDevpts:
      return "devpts";
    case Kind::kMqueue:
      return "mqueue";
    case Kind::kTmpfs:
    case Kind::kDev:
      return "tmpfs";
    case Kind::kCgroup:
    case Kind::kBind:
    case Kind::kFile:
      break;
  }
  return nullptr;
}

const char* OptionsOf(const PlannedMount& mount) {
  if (mount.data[0] != '\0') return mount.data;
  if (mount.kind == Kind::kDev) return kDevOptions;
  return mount.kind == Kind::kDevpts ? kDevptsOptions : "";
}

// Mounts of the request, as opposed to those that every container has.
bool IsRequested(const PlannedMount& mount) {
  return mount.is_received() || mount.kind == Kind::kTmpfs;
}

bool FailMount(Failure& failure, const PlannedMount& mount, const char* call) {
  const bool host_at_fault = errno == ENOSPC || errno == EDQUOT || errno == ENOMEM || errno == EIO;
  if (IsRequested(mount) && !host_at_fault) {
    return FailInvalid(failure, kMountsField, call, mount.target);
  }
  return Fail(failure, call, mount.target);
}

bool SetOptions(int fs, const char* options) {
  while (*options != '\0') {
    const char* end = strchrnul(options, ',');
    Text<256> key;
    key.Append(options, static_cast<size_t>(end - options));
    if (key.cut()) {
      errno = EINVAL;
      return false;
    }
    const char* equals = strchr(key.c_str(), '=');
    int result;
    if (equals == nullptr) {
      result = sys::FsConfig(fs, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0);
    } else {
      Text<64> name;
      name.Append(key.c_str(), static_cast<size_t>(equals - key.c_str()));
      result = sys::FsConfig(fs, FSCONFIG_SET_STRING, name.c_str(), equals + 1, 0);
    }
    if (result != 0) return false;
    options = *end == '\0' ? end : end + 1;
  }
  return true;
}

// What proc, sysfs and cgroup are mounted on must be what it looks like: an image whose /proc
// is a link could have the masks applied elsewhere.
int OpenTarget(int root, const PlannedMount& mount, bool directory) {
  if (mount.kind == Kind::kProc || mount.kind == Kind::kSysfs || mount.kind == Kind::kCgroup) {
    const int fd = OpenInRoot(root, mount.target, O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (fd >= 0 || errno != ENOENT) return fd;
  }
  return OpenOrMakeTarget(root, mount.target, directory);
}

bool IsDirectory(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// On version 1 each controller has a directory in a tmpfs.
bool MountHierarchies(const PlannedMount& mount, int target, const Hierarchies& hierarchies,
                      Failure& failure) {
  const bool only_v2 = hierarchies.v2 && hierarchies.v1_count == 0;
  const Held top(only_v2
                     ? MakeFileSystem("cgroup2", "", mount.attributes)
                     : MakeFileSystem("tmpfs", "mode=755", mount.attributes & ~MOUNT_ATTR_RDONLY));
  if (!top.valid()) return FailMount(failure, mount, "mount");
  if (sys::MoveMount(top.get(), target, "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return FailMount(failure, mount, "mount");
  }
  if (only_v2) return true;
  for (uint32_t i = 0; i <= hierarchies.v1_count; ++i) {
    const bool unified = i == hierarchies.v1_count;
    if (unified && !hierarchies.v2) break;
    const char* options = unified ? "" : hierarchies.v1[i].name;
    const char* name = unified ? "unified" : options;
    if (strncmp(name, "name=", 5) == 0) name += 5;
    const Held tree(MakeFileSystem(unified ? "cgroup2" : "cgroup", options, mount.attributes));
    if (!tree.valid() || mkdirat(top.get(), name, 0755) != 0 ||
        sys::MoveMount(tree.get(), top.get(), name, 0) != 0) {
      return Fail(failure, "mount cgroup", name);
    }
  }
  mount_attr attributes{};
  attributes.attr_set = mount.attributes & MOUNT_ATTR_RDONLY;
  return sys::MountSetAttr(top.get(), 0, &attributes) == 0 ||
         Fail(failure, "mount_setattr", mount.target);
}

constexpr char kFileName[] = "file";

bool CopyContent(int from, int to) {
  char buffer[4096];
  for (off_t offset = 0;;) {
    const ssize_t count = pread(from, buffer, sizeof buffer, offset);
    if (count <= 0) return count == 0;
    if (write(to, buffer, static_cast<size_t>(count)) != count) return false;
    offset += count;
  }
}

// In memory that is the container's and goes away with it: never on a disk.
bool AttachFile(const PlannedMount& mount, int root, int source, Failure& failure) {
  struct stat wanted;
  if (fstat(source, &wanted) != 0) return FailMount(failure, mount, "stat the source of");
  const Held tree(MakeFileSystem("tmpfs", "mode=700,size=2m", 0));
  if (!tree.valid()) return FailMount(failure, mount, "mount");
  {
    const Held file(openat(tree.get(), kFileName, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
    if (!file.valid() || !CopyContent(source, file.get()) ||
        fchown(file.get(), wanted.st_uid, wanted.st_gid) != 0 ||
        fchmod(file.get(), wanted.st_mode & 07777) != 0) {
      return FailMount(failure, mount, "fill");
    }
  }
  mount_attr attributes{};
  attributes.attr_set = mount.attributes;
  const Held target(OpenOrMakeTarget(root, mount.target, false));
  // Before 6.15 only what is attached can be cloned. Over the root: all work goes through `root`,
  // which is beneath.
  if (!target.valid() || sys::MountSetAttr(tree.get(), 0, &attributes) != 0 ||
      sys::MoveMount(tree.get(), AT_FDCWD, "/", 0) != 0) {
    return FailMount(failure, mount, "mount on");
  }
  const Held clone(sys::OpenTree(tree.get(), kFileName, OPEN_TREE_CLONE));
  if (!clone.valid() ||
      sys::MoveMount(clone.get(), target.get(), "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return FailMount(failure, mount, "mount on");
  }
  return (fchdir(tree.get()) == 0 && sys::Unmount(".", sys::kDetach) == 0 && chdir("/") == 0) ||
         Fail(failure, "umount", mount.target);
}

bool Attach(const Plan& plan, const PlannedMount& mount, int root, int tree,
            const Hierarchies& hierarchies, Failure& failure) {
  if (mount.kind == Kind::kFile) return AttachFile(mount, root, tree, failure);
  const bool directory = mount.kind != Kind::kBind || IsDirectory(tree);
  if (mount.copy_up && directory && !FillVolume(root, mount.target, tree, failure)) return false;
  const Held target(OpenTarget(root, mount, directory));
  if (!target.valid()) return FailMount(failure, mount, "mount on");
  if (mount.kind == Kind::kCgroup) {
    return MountHierarchies(mount, target.get(), hierarchies, failure);
  }
  if (IsDirectory(target.get()) != directory) {
    errno = directory ? ENOTDIR : EISDIR;
    return FailMount(failure, mount, "mount on");
  }
  if (sys::MoveMount(tree, target.get(), "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return FailMount(failure, mount, "mount on");
  }
  if (mount.copy_up && (mount.attributes & MOUNT_ATTR_RDONLY) != 0) {
    mount_attr read_only{};
    read_only.attr_set = MOUNT_ATTR_RDONLY;
    const unsigned recursive = mount.recursive ? AT_RECURSIVE : 0;
    if (sys::MountSetAttr(tree, recursive, &read_only) != 0) {
      return FailMount(failure, mount, "make read-only");
    }
  }
  return mount.kind != Kind::kDev || PopulateDev(plan, tree, failure);
}

}  // namespace

int MakeFileSystem(const char* type, const char* options, uint64_t attributes) {
  const Held fs(sys::FsOpen(type));
  if (!fs.valid()) return -1;
  // What /proc/mounts shows in the first column.
  if (sys::FsConfig(fs.get(), FSCONFIG_SET_STRING, "source", type, 0) != 0) return -1;
  if (!SetOptions(fs.get(), options)) return -1;
  if (sys::FsConfig(fs.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return sys::FsMount(fs.get(), attributes);
}

bool CreateMounts(const Plan& plan, int* trees, Failure& failure) {
  for (uint32_t i = 0; i < plan.mounts.size; ++i) {
    const PlannedMount& mount = plan.mounts[i];
    const char* type = TypeOf(mount.kind);
    trees[i] = -1;
    if (type == nullptr) continue;
    trees[i] = MakeFileSystem(type, OptionsOf(mount), mount.attributes);
    if (trees[i] < 0) return FailMount(failure, mount, "mount");
  }
  return true;
}

bool AttachMounts(const Plan& plan, int root, int* trees, const Hierarchies& hierarchies,
                  Failure& failure) {
  for (uint32_t i = 0; i < plan.mounts.size; ++i) {
    const Held tree(trees[i]);
    if (!Attach(plan, plan.mounts[i], root, tree.get(), hierarchies, failure)) return false;
  }
  return true;
}

}  // namespace minibox::init
