// SPDX-License-Identifier: Apache-2.0
#include "kernel/overlay.h"

#include <fcntl.h>
#include <sys/mount.h>

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/syscalls.h"

namespace minibox::kernel {
namespace {

// What fsconfig(2) copies of a string value, with its NUL.
constexpr size_t kOptionBytes = 256;
constexpr unsigned kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

std::string NameOf(int fd) { return core::StrCat("/proc/self/fd/", fd); }

// The kernel's own words explain more than the errno does.
Status Failure(std::string_view what, int fs) {
  const int err = errno;
  const std::string reason = FsMessage(fs);
  return core::SysError(
      "fsconfig",
      reason.empty() ? core::StrCat("overlay ", what) : core::StrCat(what, " (", reason, ')'), err);
}

Status SetString(int fs, const char* key, const std::string& value) {
  return FsConfigString(fs, key, value.c_str()) == 0 ? Status() : Failure(key, fs);
}

Status SetDirectory(int fs, const char* key, int dir, OverlayLayers layers) {
  if (layers != OverlayLayers::kDescriptors) return SetString(fs, key, NameOf(dir));
  return FsConfigFd(fs, key, dir) == 0 ? Status() : Failure(key, fs);
}

Status SetLowers(int fs, const std::vector<int>& lowers, OverlayLayers layers) {
  if (layers != OverlayLayers::kOption) {
    for (const int lower : lowers) {
      MBX_RETURN_IF_ERROR(SetDirectory(fs, "lowerdir+", lower, layers));
    }
    return Status();
  }
  std::string names;
  for (const int lower : lowers) {
    if (!names.empty()) names += ':';
    names += NameOf(lower);
  }
  if (names.size() >= kOptionBytes) {
    return core::Error(StatusCode::kInternal, "unsupported_by_host",
                       core::StrCat("this kernel cannot stack ", lowers.size(),
                                    " layers: it has no overlay parameter lowerdir+"));
  }
  return SetString(fs, "lowerdir", names);
}

// An empty directory that is on no disk and in no mount namespace.
StatusOr<core::Fd> EmptyDirectory() {
  const core::Fd fs = FsOpen("tmpfs");
  if (!fs.valid()) return core::SysError("fsopen", "tmpfs");
  if (FsConfigCreate(fs.get()) != 0) return core::SysError("fsconfig", "tmpfs");
  core::Fd mount = FsMount(fs.get(), kAttributes | MOUNT_ATTR_RDONLY);
  if (!mount.valid()) return core::SysError("fsmount", "tmpfs");
  return mount;
}

StatusOr<core::Fd> CloneReadOnly(int layer) {
  core::Fd mount = CloneTree(layer);
  if (!mount.valid()) return core::SysError("open_tree", "layer");
  struct mount_attr attributes {};
  attributes.attr_set = kAttributes | MOUNT_ATTR_RDONLY;
  attributes.propagation = MS_PRIVATE;
  if (MountSetAttr(mount.get(), "", AT_EMPTY_PATH, attributes) != 0) {
    return core::SysError("mount_setattr", "layer");
  }
  return mount;
}

}  // namespace

StatusOr<core::Fd> MountOverlay(const OverlaySpec& spec, OverlayLayers layers) {
  if (spec.lowers.empty()) return core::InvalidArgument("lowers", "an overlay needs a layer");
  if ((spec.upper < 0) != (spec.work < 0)) {
    return core::InvalidArgument("work", "upper and work go together");
  }
  const bool writable = spec.upper >= 0;
  std::vector<int> lowers = spec.lowers;
  core::Fd empty;
  if (!writable && lowers.size() == 1) {
    // overlayfs refuses a single layer without an upper.
    MBX_ASSIGN_OR_RETURN(empty, EmptyDirectory());
    lowers.push_back(empty.get());
  }

  const core::Fd fs = FsOpen("overlay");
  if (!fs.valid()) return core::SysError("fsopen", "overlay");
  MBX_RETURN_IF_ERROR(SetString(fs.get(), "source", "minibox"));
  MBX_RETURN_IF_ERROR(SetLowers(fs.get(), lowers, layers));
  if (writable) {
    MBX_RETURN_IF_ERROR(SetDirectory(fs.get(), "upperdir", spec.upper, layers));
    MBX_RETURN_IF_ERROR(SetDirectory(fs.get(), "workdir", spec.work, layers));
    MBX_RETURN_IF_ERROR(SetString(fs.get(), "index", "off"));
  }
  MBX_RETURN_IF_ERROR(SetString(fs.get(), "redirect_dir", "off"));
  MBX_RETURN_IF_ERROR(SetString(fs.get(), "metacopy", "off"));
  if (FsConfigCreate(fs.get()) != 0) return Failure("create", fs.get());
  core::Fd mount = FsMount(fs.get(), kAttributes | (writable ? 0 : MOUNT_ATTR_RDONLY));
  if (!mount.valid()) return core::SysError("fsmount", "overlay");
  return mount;
}

StatusOr<core::Fd> MountOverlay(const OverlaySpec& spec) {
  // Trying costs less than asking first, and a refused parameter leaves nothing behind.
  auto mount = MountOverlay(spec, OverlayLayers::kDescriptors);
  for (const auto layers : {OverlayLayers::kAppended, OverlayLayers::kOption}) {
    // A descriptor instead of a name is EOPNOTSUPP before 6.5.
    const int error = mount.status().sys_errno();
    if (error != EINVAL && error != EOPNOTSUPP) break;
    mount = MountOverlay(spec, layers);
  }
  // Kernels that take names only do not take those of the empty layer, which is in no mount
  // namespace. One layer shows the same by itself, but for whiteouts, which hide nothing in it.
  const bool one = spec.lowers.size() == 1 && spec.upper < 0;
  if (one && mount.status().sys_errno() == EINVAL) return CloneReadOnly(spec.lowers[0]);
  return mount;
}

}  // namespace minibox::kernel
