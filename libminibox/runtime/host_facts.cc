// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_facts.h"

#include <fcntl.h>
#include <glob.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "core/fd.h"
#include "core/file.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

constexpr size_t kMaxSmallFile = 4096;
constexpr size_t kMaxMountInfo = 64u << 20;

std::string ReadSmall(const char* path) {
  auto text = core::ReadFileAt(AT_FDCWD, path, kMaxSmallFile);
  return text.ok() ? std::string(core::TrimSpace(*text)) : "";
}

uint64_t ReadCapabilities(std::string_view key) {
  const std::string status = ReadSmall("/proc/thread-self/status");
  const size_t at = status.find(key);
  return at == std::string::npos ? 0 : std::strtoull(status.c_str() + at + key.size(), nullptr, 16);
}

// FS_ALLOW_IDMAP of the kernel, by file system and first version.
struct IdMapSupport {
  unsigned long magic;
  std::string_view type;
  int major, minor;
};
constexpr IdMapSupport kIdMapSupport[] = {
    {EXT4_SUPER_MAGIC, "ext4", 5, 12},      {EXT4_SUPER_MAGIC, "ext3", 5, 12},
    {EXT4_SUPER_MAGIC, "ext2", 5, 12},      {XFS_SUPER_MAGIC, "xfs", 5, 12},
    {MSDOS_SUPER_MAGIC, "vfat", 5, 12},     {BTRFS_SUPER_MAGIC, "btrfs", 5, 15},
    {0x7366746e, "ntfs3", 5, 15},           {F2FS_SUPER_MAGIC, "f2fs", 5, 18},
    {EROFS_SUPER_MAGIC_V1, "erofs", 5, 19}, {SQUASHFS_MAGIC, "squashfs", 6, 2},
    {TMPFS_MAGIC, "tmpfs", 6, 3},
};

bool KernelIsAtLeast(int major, int minor) {
  struct utsname name;
  int have_major = 0, have_minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%d.%d", &have_major, &have_minor) != 2) {
    return false;
  }
  return have_major > major || (have_major == major && have_minor >= minor);
}

bool TypeSupportsIdMap(std::string_view type) {
  for (const auto& row : kIdMapSupport) {
    if (row.type == type) return KernelIsAtLeast(row.major, row.minor);
  }
  return false;
}

// The escapes of /proc/self/mountinfo: \040 and the like.
std::string Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                               (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

HostFacts ReadHostFacts() {
  HostFacts facts;
  facts.online_cpus = ReadSmall("/sys/devices/system/cpu/online");
  if (const auto nr_open = core::ParseUint64(ReadSmall("/proc/sys/fs/nr_open"))) {
    facts.nr_open = *nr_open;
  }
  facts.ipv6 = access("/proc/sys/net/ipv6", F_OK) == 0;
  for (const char* key : {"CapEff:", "CapBnd:"}) {
    facts.capabilities &= ReadCapabilities(key);
  }
  glob_t found = {};
  if (glob("/sys/devices/system/cpu/cpu*/thermal_throttle", 0, nullptr, &found) == 0) {
    facts.thermal_paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  globfree(&found);
  return facts;
}

StatusOr<std::vector<std::string>> ListHostDevices() {
  constexpr int kMaxDepth = 4;
  static constexpr std::string_view kOwn[] = {"null", "zero", "full", "random", "urandom", "tty",
                                              "ptmx", "pts",  "shm",  "mqueue", "console"};
  MBX_ASSIGN_OR_RETURN(const core::RootDir dev, core::RootDir::Open("/dev"));
  std::vector<std::string> found;
  std::vector<std::pair<std::string, int>> pending = {{"", 0}};
  while (!pending.empty()) {
    const auto [dir, depth] = pending.back();
    pending.pop_back();
    auto names = dev.List(dir);
    // Devices come and go.
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (dir.empty() && std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn)) {
        continue;
      }
      const std::string path = dir.empty() ? name : core::StrCat(dir, "/", name);
      const auto st = dev.LStat(path);
      if (!st.ok()) continue;
      if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
        found.push_back("/dev/" + path);
      } else if (S_ISDIR(st->st_mode) && depth < kMaxDepth) {
        pending.emplace_back(path, depth + 1);
      }
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> TypesMountedBelow(std::string_view mountinfo, std::string_view path) {
  const std::string prefix = path == "/" ? "/" : core::StrCat(path, "/");
  std::vector<std::string> types;
  for (const std::string_view line : core::StrSplit(mountinfo, '\n')) {
    const auto fields = core::StrSplit(line, ' ');
    if (fields.size() < 9) continue;
    const std::string target = Unescape(fields[4]);
    if (target == path || !target.starts_with(prefix)) continue;
    for (size_t i = 6; i + 1 < fields.size(); ++i) {
      if (fields[i] != "-") continue;
      types.emplace_back(fields[i + 1]);
      break;
    }
  }
  return types;
}

std::string IdMapObstacle(int fd, bool recursive) {
  struct statfs fs;
  if (fstatfs(fd, &fs) != 0) return "an unknown file system";
  bool supported = false;
  for (const auto& row : kIdMapSupport) {
    if (row.magic == static_cast<unsigned long>(fs.f_type)) {
      supported = KernelIsAtLeast(row.major, row.minor);
      break;
    }
  }
  if (!supported) {
    char type[48];
    snprintf(type, sizeof type, "file system type 0x%lx", static_cast<unsigned long>(fs.f_type));
    return type;
  }
  if (!recursive) return "";
  char path[PATH_MAX];
  const ssize_t length =
      readlink(core::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof path - 1);
  auto mountinfo = core::ReadFileAt(AT_FDCWD, "/proc/self/mountinfo", kMaxMountInfo);
  if (length < 0 || !mountinfo.ok()) return "";
  for (const std::string& type :
       TypesMountedBelow(*mountinfo, std::string_view(path, static_cast<size_t>(length)))) {
    if (!TypeSupportsIdMap(type)) return type;
  }
  return "";
}

}  // namespace minibox::runtime
