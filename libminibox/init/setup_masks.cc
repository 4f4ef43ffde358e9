// SPDX-License-Identifier: Apache-2.0
#include "init/setup_masks.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init/failing.h"
#include "init/held.h"
#include "init/resolve.h"
#include "init/setup_mounts.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

constexpr char kEmptyFile[] = "file";
constexpr char kEmptyDirectory[] = "directory";

bool MakeReadOnly(const char* path, int target, Failure& failure) {
  const Held tree(sys::OpenTree(target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (!tree.valid() || sys::MountSetAttr(tree.get(), AT_RECURSIVE, &attributes) != 0 ||
      sys::MoveMount(tree.get(), target, "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return Fail(failure, "make read-only", path);
  }
  return true;
}

bool Mask(const char* path, int target, int source, Failure& failure) {
  struct stat status;
  if (fstat(target, &status) != 0) return Fail(failure, "stat", path);
  const Held tree(sys::OpenTree(source, S_ISDIR(status.st_mode) ? kEmptyDirectory : kEmptyFile,
                                OPEN_TREE_CLONE));
  if (!tree.valid() || sys::MoveMount(tree.get(), target, "", MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    return Fail(failure, "mask", path);
  }
  return true;
}

}  // namespace

bool PrepareMasks(int* source, Failure& failure) {
  Held tree(MakeFileSystem("tmpfs", "mode=755,size=16k", 0));
  if (!tree.valid()) return Fail(failure, "mount", "tmpfs of the masked paths");
  const Held file(openat(tree.get(), kEmptyFile, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444));
  mount_attr attributes{};
  attributes.attr_set =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (!file.valid() || mkdirat(tree.get(), kEmptyDirectory, 0555) != 0 ||
      sys::MountSetAttr(tree.get(), 0, &attributes) != 0) {
    return Fail(failure, "prepare", "the masked paths");
  }
  *source = tree.Release();
  return true;
}

bool MaskPaths(const Plan& plan, int root, int source, Failure& failure) {
  // Before 6.15 only what is attached can be cloned. Over the root: all work below goes through
  // `root`, which is beneath.
  if (plan.masked_paths.size > 0 && sys::MoveMount(source, AT_FDCWD, "/", 0) != 0) {
    return Fail(failure, "attach", "the masked paths");
  }
  for (const char* path : plan.read_only_paths) {
    const Held target(OpenInRoot(root, path, O_PATH));
    if (!target.valid() && errno == ENOENT) continue;
    if (!target.valid()) return Fail(failure, "open", path);
    if (!MakeReadOnly(path, target.get(), failure)) return false;
  }
  for (const char* path : plan.masked_paths) {
    const Held target(OpenInRoot(root, path, O_PATH));
    if (!target.valid() && errno == ENOENT) continue;
    if (!target.valid()) return Fail(failure, "open", path);
    if (!Mask(path, target.get(), source, failure)) return false;
  }
  if (plan.masked_paths.size == 0) return true;
  return (fchdir(source) == 0 && sys::Unmount(".", sys::kDetach) == 0) ||
         Fail(failure, "umount", "the masked paths");
}

}  // namespace minibox::init
