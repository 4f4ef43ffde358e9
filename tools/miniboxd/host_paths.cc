// SPDX-License-Identifier: Apache-2.0
#include "host_paths.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "wire/fields.h"
#include "wire/text.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusCode;
using minibox::StatusOr;
using minibox::wire::InvalidField;
using minibox::wire::StrCat;

constexpr size_t kMaxPath = 4095;
constexpr size_t kMaxName = 255;
constexpr int kMaxAttempts = 10;
// The directories of spec §6 but `volumes`, whose content is the user's.
constexpr const char* kOwnDirectories[] = {"blobs", "extracted",  "lazy",     "layers",
                                           "cache", "containers", "networks", "leases",
                                           "tmp",   "partial"};

std::string RealPath(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) == nullptr ? "" : resolved;
}

bool IsAtOrBelow(std::string_view path, std::string_view directory) {
  while (directory.size() > 1 && directory.ends_with('/')) directory.remove_suffix(1);
  if (directory == "/") return true;
  return path == directory ||
         (path.starts_with(directory) && path.substr(directory.size()).starts_with('/'));
}

Status NotAllowed(std::string_view field, std::string_view path, std::string_view why) {
  return InvalidField(field, StrCat("'", minibox::wire::EscapeControl(path), "' ", why))
      .WithReason("path_not_allowed");
}

Status SystemError(std::string_view field, std::string_view path) {
  return InvalidField(
      field, StrCat("'", minibox::wire::EscapeControl(path), "': ", strerrordesc_np(errno)));
}

Status CheckForm(std::string_view path, std::string_view field) {
  if (!path.starts_with('/')) return InvalidField(field, "must be an absolute path");
  if (path.size() > kMaxPath) return InvalidField(field, "is longer than 4095 bytes");
  if (path.find('\0') != path.npos) return InvalidField(field, "must not contain NUL");
  return Status();
}

}  // namespace

Status HostPaths::Check(const std::string& resolved, std::string_view field) const {
  const bool permitted =
      std::any_of(prefixes_.begin(), prefixes_.end(), [&](const std::string& prefix) {
        const std::string real = RealPath(prefix);
        return !real.empty() && IsAtOrBelow(resolved, real);
      });
  if (!permitted) return NotAllowed(field, resolved, "is not under MINIBOX_BUILD_PREFIXES");
  const std::string data_root = RealPath(data_root_), run_dir = RealPath(run_dir_);
  bool own = resolved == data_root || (!run_dir.empty() && IsAtOrBelow(resolved, run_dir));
  for (const char* directory : kOwnDirectories) {
    own = own || IsAtOrBelow(resolved, StrCat(data_root, "/", directory));
  }
  if (own) return NotAllowed(field, resolved, "belongs to MiniBox itself");
  return Status();
}

StatusOr<std::string> HostPaths::Resolve(std::string_view path, std::string_view field) const {
  const Status form = CheckForm(path, field);
  if (!form.ok()) return form;
  std::string resolved = RealPath(std::string(path));
  if (resolved.empty()) return SystemError(field, path);
  const Status checked = Check(resolved, field);
  if (!checked.ok()) return checked;
  return resolved;
}

StatusOr<int> HostPaths::OpenFile(std::string_view path, std::string_view field) const {
  const Status form = CheckForm(path, field);
  if (!form.ok()) return form;
  // O_PATH first: opening a device or a FIFO to look at it would already do something.
  const int handle = open(std::string(path).c_str(), O_PATH | O_CLOEXEC);
  if (handle < 0) return SystemError(field, path);
  const std::string link = StrCat("/proc/self/fd/", handle);
  Status error = Check(RealPath(link), field);
  struct stat info {};
  if (error.ok() && fstat(handle, &info) != 0) error = SystemError(field, path);
  if (error.ok() && !S_ISREG(info.st_mode)) {
    error = InvalidField(
        field, StrCat("'", minibox::wire::EscapeControl(path), "' is not a regular file"));
  }
  const int file = error.ok() ? open(link.c_str(), O_RDONLY | O_CLOEXEC) : -1;
  if (error.ok() && file < 0) error = SystemError(field, path);
  close(handle);
  if (!error.ok()) return error;
  return file;
}

NewFile::NewFile(NewFile&& other) noexcept
    : directory_(std::exchange(other.directory_, -1)),
      fd_(std::exchange(other.fd_, -1)),
      temporary_(std::move(other.temporary_)),
      name_(std::move(other.name_)),
      field_(std::move(other.field_)) {}

NewFile::~NewFile() {
  if (fd_ >= 0) {
    close(fd_);
    unlinkat(directory_, temporary_.c_str(), 0);
  }
  if (directory_ >= 0) close(directory_);
}

Status NewFile::Commit() {
  if (fsync(fd_) != 0) return SystemError(field_, name_);
  struct stat there {};
  if (fstatat(directory_, name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISREG(there.st_mode)) {
    return InvalidField(field_, "exists and is not a regular file");
  }
  if (renameat(directory_, temporary_.c_str(), directory_, name_.c_str()) != 0 ||
      fsync(directory_) != 0) {
    return SystemError(field_, name_);
  }
  close(std::exchange(fd_, -1));
  return Status();
}

StatusOr<NewFile> HostPaths::CreateFile(std::string_view path, std::string_view field) const {
  const Status form = CheckForm(path, field);
  if (!form.ok()) return form;
  const size_t slash = path.rfind('/');
  std::string name(path.substr(slash + 1));
  if (name.empty() || name == "." || name == ".." || name.size() > kMaxName) {
    return InvalidField(field, "must end in the name of a file");
  }
  const std::string parent(slash == 0 ? "/" : path.substr(0, slash));
  const int directory = open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return SystemError(field, parent);
  NewFile file(directory, -1, "", std::move(name), std::string(field));
  const Status checked = Check(RealPath(StrCat("/proc/self/fd/", directory)), field);
  if (!checked.ok()) return checked;
  struct stat there {};
  if (fstatat(directory, file.name_.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISREG(there.st_mode)) {
    return InvalidField(field, "exists and is not a regular file");
  }
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random) return SystemError(field, path);
    file.temporary_ = StrCat(".minibox-", random);
    file.fd_ = openat(directory, file.temporary_.c_str(),
                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file.fd_ >= 0) return file;
    if (errno != EEXIST) break;
  }
  return SystemError(field, path);
}

}  // namespace miniboxd
