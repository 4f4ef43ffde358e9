// SPDX-License-Identifier: Apache-2.0
#include "build/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "archive/layer_xattrs.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kMaxNames = 64u << 10;

}  // namespace

StatusOr<std::vector<DirectoryEntry>> ReadDirectory(int directory) {
  const int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return core::SysError("openat", ".");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), closedir);
  if (stream == nullptr) {
    const int error = errno;
    close(fd);
    return core::SysError("fdopendir", ".", error);
  }
  std::vector<DirectoryEntry> entries;
  errno = 0;
  while (const dirent* found = readdir(stream.get())) {
    const std::string_view name = found->d_name;
    if (name != "." && name != "..") {
      DirectoryEntry entry{std::string(name)};
      if (fstatat(directory, found->d_name, &entry.st, AT_SYMLINK_NOFOLLOW) != 0) {
        return core::SysError("fstatat", core::EscapeControl(name));
      }
      entries.push_back(std::move(entry));
    }
    errno = 0;
  }
  if (errno != 0) return core::SysError("readdir", ".");
  std::sort(entries.begin(), entries.end(),
            [](const DirectoryEntry& a, const DirectoryEntry& b) { return a.name < b.name; });
  return entries;
}

bool IsWhiteout(const struct ::stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == 0; }

std::string ProcPath(int directory, std::string_view name) {
  return core::StrCat("/proc/self/fd/", directory, "/", name.empty() ? "." : name);
}

StatusOr<std::map<std::string, std::string>> ReadXattrs(int directory, std::string_view name) {
  const std::string path = ProcPath(directory, name);
  std::map<std::string, std::string> out;
  const ssize_t needed = llistxattr(path.c_str(), nullptr, 0);
  if (needed < 0 && errno != ENOTSUP) {
    return core::SysError("llistxattr", core::EscapeControl(name));
  }
  if (needed <= 0) return out;
  std::string names(kMaxNames, '\0');
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size < 0) return core::SysError("llistxattr", core::EscapeControl(name));
  names.resize(static_cast<size_t>(size));
  for (const auto attribute : core::StrSplit(names, '\0')) {
    if (attribute.empty()) continue;
    const std::string key(attribute);
    std::string value(archive::kMaxXattrValue, '\0');
    const ssize_t length = lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
    if (length < 0) return core::SysError("lgetxattr", core::EscapeControl(name));
    value.resize(static_cast<size_t>(length));
    out.emplace(key, std::move(value));
  }
  return out;
}

StatusOr<std::map<std::string, std::string>> ReadPackedXattrs(int directory,
                                                              std::string_view name) {
  MBX_ASSIGN_OR_RETURN(auto all, ReadXattrs(directory, name));
  std::erase_if(all, [](const auto& entry) { return !archive::IsPacked(entry.first); });
  return all;
}

Status SetXattr(int directory, std::string_view name, const std::string& attribute,
                const std::string& value) {
  if (lsetxattr(ProcPath(directory, name).c_str(), attribute.c_str(), value.data(), value.size(),
                0) != 0) {
    return core::SysError("lsetxattr", core::EscapeControl(name));
  }
  return {};
}

}  // namespace minibox::build
