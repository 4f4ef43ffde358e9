// SPDX-License-Identifier: Apache-2.0
#include "archive/overlay_marks.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "core/errors.h"
#include "core/fd.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr const char* kOpaque[] = {"trusted.overlay.opaque", "user.overlay.opaque"};
constexpr const char* kWhiteout[] = {"trusted.overlay.whiteout", "user.overlay.whiteout"};

// The namespace that overlay mounts of this process look at: trusted.* can neither be set nor
// seen without privilege.
int Namespace() { return geteuid() == 0 ? 0 : 1; }

// '\0' if there is no such attribute.
StatusOr<char> ReadMark(int fd, const char* name) {
  char value[2] = {};
  const ssize_t size = fgetxattr(fd, name, value, sizeof value);
  if (size == 1) return value[0];
  if (size >= 0 || errno == ENODATA || errno == EOPNOTSUPP || errno == ERANGE) return '\0';
  return core::SysError("fgetxattr", name);
}

Status WriteMark(int fd, const char* const (&names)[2], const char* value) {
  if (fsetxattr(fd, names[0], value, 1, 0) == 0) return {};
  if (errno != EPERM) return core::SysError("fsetxattr", names[0]);
  if (fsetxattr(fd, names[1], value, 1, 0) == 0) return {};
  return core::SysError("fsetxattr", names[1]);
}

}  // namespace

Status MakeWhiteout(int dir, const std::string& name) {
  if (mknodat(dir, name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return {};
  if (errno != EPERM) return core::SysError("mknodat", core::EscapeControl(name));
  const core::Fd file(
      openat(dir, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.valid()) return core::SysError("openat", core::EscapeControl(name));
  MBX_RETURN_IF_ERROR(WriteMark(file.get(), kWhiteout, "y"));
  MBX_ASSIGN_OR_RETURN(const bool opaque, IsOpaque(dir));
  return opaque ? Status() : WriteMark(dir, kOpaque, "x");
}

StatusOr<bool> IsWhiteout(int dir, const std::string& name, const struct ::stat& st) {
  if (S_ISCHR(st.st_mode)) return st.st_rdev == makedev(0, 0);
  if (!S_ISREG(st.st_mode) || st.st_size != 0) return false;
  MBX_ASSIGN_OR_RETURN(const char mark, ReadMark(dir, kOpaque[Namespace()]));
  if (mark != 'x' && mark != 'y') return false;
  const core::Fd file(openat(dir, name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.valid()) return core::SysError("openat", core::EscapeControl(name));
  MBX_ASSIGN_OR_RETURN(const char whiteout, ReadMark(file.get(), kWhiteout[Namespace()]));
  return whiteout != '\0';
}

Status SetOpaque(int dir) { return WriteMark(dir, kOpaque, "y"); }

StatusOr<bool> IsOpaque(int dir) {
  MBX_ASSIGN_OR_RETURN(const char mark, ReadMark(dir, kOpaque[Namespace()]));
  return mark == 'y';
}

}  // namespace minibox::archive
