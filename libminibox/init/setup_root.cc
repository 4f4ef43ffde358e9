// SPDX-License-Identifier: Apache-2.0
#include "init/setup_root.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "init/failing.h"
#include "init/held.h"
#include "init/overlay_parts.h"
#include "init/sys.h"

namespace minibox::init {
namespace {

// The field of a failure that says that this host cannot do user namespaces with id-mapped
// mounts; the caller may try again with the host's ids.
constexpr char kUserNamespaceField[] = "userns";

bool FailIdMap(Failure& failure, const char* what) {
  const int error = errno;
  MessageText message;
  message << "id-mapped mount of " << what;
  return FailWith(failure, FailureKind::kUnsupported, error, kUserNamespaceField, message);
}

bool MapIds(int tree, unsigned recursive, int user_namespace) {
  mount_attr map{};
  map.attr_set = MOUNT_ATTR_IDMAP;
  map.userns_fd = static_cast<uint64_t>(user_namespace);
  return sys::MountSetAttr(tree, recursive, &map) == 0;
}

// Gives overlayfs one directory as a descriptor.
bool AddDirectory(int fs, int base, const char* key, const char* name, bool* known,
                  Failure& failure) {
  const Held dir(OpenLayer(base, name));
  if (dir.get() < 0) return Fail(failure, "open directory of the root", name);
  if (sys::FsConfig(fs, FSCONFIG_SET_FD, key, nullptr, dir.get()) == 0) return true;
  *known = errno != EINVAL && errno != EOPNOTSUPP;  // the second before 6.5
  return FailOverlay(fs, key, failure);
}

// *known: whether the kernel knows this way, which it does since 6.13.
bool MountFromFds(const Plan& plan, int base, int* root, bool* known, Failure& failure) {
  const Held fs(sys::FsOpen("overlay"));
  if (fs.get() < 0) return Fail(failure, "fsopen overlay");
  for (const char* lower : plan.lowers) {
    if (!AddDirectory(fs.get(), base, "lowerdir+", lower, known, failure)) return false;
  }
  return AddDirectory(fs.get(), base, "upperdir", plan.upper, known, failure) &&
         AddDirectory(fs.get(), base, "workdir", plan.work, known, failure) &&
         CreateOverlay(plan, fs.get(), root, failure);
}

// Without layers there is nothing to overlay.
bool CloneUpper(const Plan& plan, int base, int* root, Failure& failure) {
  const Held upper(OpenLayer(base, plan.upper));
  if (upper.get() < 0) return Fail(failure, "open directory of the root", plan.upper);
  *root = sys::OpenTree(upper.get(), "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
  return *root >= 0 || Fail(failure, "clone", plan.upper);
}

bool MountLayers(const Plan& plan, int base, int* root, Failure& failure) {
  if (plan.lowers.size == 0) return CloneUpper(plan, base, root, failure);
  if (plan.root_form == RootForm::kAuto) {
    bool known = true;
    if (MountFromFds(plan, base, root, &known, failure)) return true;
    if (known) return false;
  }
  return MountRootByPaths(plan, base, root, failure);
}

bool BlameIdMap(Failure& failure) {
  failure.kind = FailureKind::kUnsupported;
  memcpy(failure.field, kUserNamespaceField, sizeof kUserNamespaceField);
  return false;
}

}  // namespace

bool CloneBind(const PlannedMount& mount, int source, int user_namespace, int* tree,
               Failure& failure) {
  const unsigned recursive = mount.recursive ? AT_RECURSIVE : 0;
  Held clone(sys::OpenTree(source, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | recursive));
  if (clone.get() < 0) return Fail(failure, "clone the source of the mount on", mount.target);
  mount_attr attributes{};
  attributes.attr_set = mount.attributes;
  // PID 1 fills it first.
  if (mount.copy_up) attributes.attr_set &= ~uint64_t{MOUNT_ATTR_RDONLY};
  attributes.propagation = mount.propagation == 0 ? sys::kMsPrivate : mount.propagation;
  if (sys::MountSetAttr(clone.get(), recursive, &attributes) != 0) {
    return Fail(failure, "mount_setattr", mount.target);
  }
  if (mount.id_mapped && user_namespace >= 0 && !MapIds(clone.get(), recursive, user_namespace)) {
    return FailIdMap(failure, mount.target);
  }
  *tree = clone.Release();
  return true;
}

bool MountRoot(const Plan& plan, int data_root, int user_namespace, int* root, Failure& failure) {
  // The clone may be attached elsewhere and carry an id map of its own.
  const Held base(sys::OpenTree(data_root, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
  if (base.get() < 0) return Fail(failure, "clone the data root");
  mount_attr attributes{};
  attributes.propagation = sys::kMsPrivate;
  if (sys::MountSetAttr(base.get(), 0, &attributes) != 0) {
    return Fail(failure, "mount_setattr", "the data root");
  }
  if (plan.user_namespace && !MapIds(base.get(), 0, user_namespace)) {
    return FailIdMap(failure, "the data root");
  }
  if (!MountLayers(plan, base.get(), root, failure)) {
    // Before 5.19 overlayfs refuses layers with an id map.
    return plan.user_namespace && failure.error == EINVAL ? BlameIdMap(failure) : false;
  }
  if (!plan.user_namespace) return true;
  // Nobody can make device nodes inside; those of the image stay without effect.
  mount_attr no_devices{};
  no_devices.attr_set = MOUNT_ATTR_NODEV;
  return sys::MountSetAttr(*root, 0, &no_devices) == 0 ||
         Fail(failure, "mount_setattr", "the root");
}

}  // namespace minibox::init
