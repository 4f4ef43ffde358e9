// SPDX-License-Identifier: Apache-2.0
#include "support/tree_listing.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <set>
#include <sstream>

#include "support/scratch.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;

std::string Xattrs(const std::string& path) {
  std::string names(64u << 10, '\0');
  const ssize_t size = llistxattr(path.c_str(), names.data(), names.size());
  if (size <= 0) return "";
  names.resize(static_cast<size_t>(size));
  std::istringstream in(names);
  std::set<std::string> found;
  for (std::string name; std::getline(in, name, '\0');) {
    std::string value(64u << 10, '\0');
    const ssize_t length = lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    value.resize(length < 0 ? 0 : static_cast<size_t>(length));
    found.insert(name + "=" + value);
  }
  std::string out;
  for (const std::string& item : found) out += " {" + item + "}";
  return out;
}

char Type(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return '-';
    case S_IFDIR:
      return 'd';
    case S_IFLNK:
      return 'l';
    case S_IFCHR:
      return 'c';
    case S_IFBLK:
      return 'b';
    case S_IFIFO:
      return 'p';
    default:
      return 's';
  }
}

}  // namespace

std::map<std::string, std::string> ListTree(const std::string& top, const ListingOptions& options) {
  std::set<std::string> paths;
  if (options.root) paths.insert(".");
  for (const auto& entry : fs::recursive_directory_iterator(top)) {
    paths.insert(entry.path().string().substr(top.size() + 1));
  }
  std::map<std::pair<dev_t, ino_t>, std::string> first_names;
  std::map<std::string, std::string> listing;
  for (const std::string& path : paths) {
    const std::string full = top + "/" + path;
    struct ::stat st {};
    if (lstat(full.c_str(), &st) != 0) continue;
    std::ostringstream line;
    line << Type(st.st_mode) << " " << std::oct << (st.st_mode & 07777) << std::dec << " "
         << st.st_uid << ":" << st.st_gid;
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) line << " " << st.st_size;
    if (options.times) line << " " << st.st_mtim.tv_sec << "." << st.st_mtim.tv_nsec;
    if (S_ISLNK(st.st_mode)) line << " -> " << fs::read_symlink(full).string();
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      line << " " << major(st.st_rdev) << "," << minor(st.st_rdev);
    }
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      const auto [first, is_first] = first_names.try_emplace({st.st_dev, st.st_ino}, path);
      if (!is_first) line << " = " << first->second;
    }
    if (options.xattrs) line << Xattrs(full);
    if (S_ISREG(st.st_mode)) line << " #" << std::hash<std::string>()(ReadWholeFile(full));
    listing[path] = line.str();
  }
  return listing;
}

}  // namespace minibox::testing
