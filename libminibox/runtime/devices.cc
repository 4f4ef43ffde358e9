// SPDX-License-Identifier: Apache-2.0
#include "runtime/devices.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/errors.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/mount_options.h"

namespace minibox::runtime {
namespace {

using core::InvalidArgument;
using core::StrCat;
using kernel::DeviceRule;

constexpr int kMaxDepth = 4;        // of a directory of devices
constexpr size_t kMaxNodes = 1000;  // of one container
// A prefix that no generated file has.
constexpr std::string_view kNodePrefix = "device-";

bool IsDevice(mode_t mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

Status AddNode(const DeviceEntry& entry, const std::string& host, const std::string& target,
               const struct stat& st, const std::string& field, std::vector<DeviceNode>& nodes) {
  if (nodes.size() >= kMaxNodes) return InvalidArgument("devices", "has too many nodes");
  DeviceNode node{.host = host,
                  .target = target,
                  .mode = st.st_mode,
                  .uid = st.st_uid,
                  .gid = st.st_gid,
                  .number = st.st_rdev,
                  .field = field};
  node.rule = {
      .type = S_ISBLK(st.st_mode) ? DeviceRule::Type::kBlock : DeviceRule::Type::kCharacter,
      .major = major(st.st_rdev),
      .minor = minor(st.st_rdev),
      .read = entry.read,
      .write = entry.write,
      .mknod = entry.mknod};
  nodes.push_back(std::move(node));
  return Status();
}

Status AddDirectory(const DeviceEntry& entry, const std::string& field,
                    std::vector<DeviceNode>& nodes) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir root, core::RootDir::Open(entry.host));
  std::vector<std::pair<std::string, int>> pending = {{"", 0}};
  const size_t before = nodes.size();
  while (!pending.empty()) {
    const auto [dir, depth] = std::move(pending.back());
    pending.pop_back();
    auto names = root.List(dir);
    if (!names.ok()) continue;  // devices come and go
    std::sort(names->begin(), names->end());
    for (const std::string& name : *names) {
      const std::string path = dir.empty() ? name : StrCat(dir, "/", name);
      const auto st = root.LStat(path);
      if (!st.ok()) continue;
      if (IsDevice(st->st_mode)) {
        MBX_RETURN_IF_ERROR(AddNode(entry, StrCat(entry.host, "/", path),
                                    StrCat(entry.target, "/", path), *st, field, nodes));
      } else if (S_ISDIR(st->st_mode) && depth < kMaxDepth) {
        pending.emplace_back(path, depth + 1);
      }
    }
  }
  if (nodes.size() > before) return Status();
  return InvalidArgument(field, StrCat("'", entry.host, "' has no device in it"));
}

DeviceRule Common(int64_t major, int64_t minor) {
  return {DeviceRule::Type::kCharacter, major, minor, true, true, true};
}

}  // namespace

StatusOr<DeviceEntry> ParseDevice(std::string_view text, std::string_view field) {
  const auto parts = core::StrSplit(text, ':');
  const auto host = CleanPath(parts[0]);
  if (!host || *host == "/" || parts.size() > 3) {
    return InvalidArgument(field, "must be '/dev/x[:/dev/y[:rwm]]'");
  }
  DeviceEntry entry;
  entry.host = *host;
  entry.target = *host;
  std::string_view access = parts.size() == 3 ? parts[2] : "";
  if (parts.size() > 1) {
    // "/dev/x:rw" is short for the same path with an access.
    const bool is_access = parts.size() == 2 && !parts[1].empty() &&
                           parts[1].find_first_not_of("rwm") == std::string_view::npos;
    const auto target = CleanPath(parts[1]);
    if (is_access) {
      access = parts[1];
    } else if (!target) {
      return InvalidArgument(field, "the path in the container must be absolute");
    } else {
      entry.target = *target;
    }
  }
  if (!IsWithin(entry.target, "/dev") || entry.target == "/dev") {
    return InvalidArgument(field, "the path in the container must be below /dev");
  }
  if (parts.size() == 3 && access.empty()) {
    return InvalidArgument(field, "access must be some of 'rwm'");
  }
  if (access.empty()) return entry;
  entry.read = entry.write = entry.mknod = false;
  for (const char c : access) {
    bool& flag = c == 'r' ? entry.read : c == 'w' ? entry.write : entry.mknod;
    if ((c != 'r' && c != 'w' && c != 'm') || flag) {
      return InvalidArgument(field, "access must be some of 'rwm', each once");
    }
    flag = true;
  }
  return entry;
}

StatusOr<std::vector<DeviceNode>> FindDevices(const std::vector<std::string>& entries) {
  std::vector<DeviceNode> nodes;
  for (size_t i = 0; i < entries.size(); ++i) {
    const std::string field = StrCat("devices[", i, "]");
    MBX_ASSIGN_OR_RETURN(const DeviceEntry entry, ParseDevice(entries[i], field));
    struct stat st;
    if (stat(entry.host.c_str(), &st) != 0) {
      return InvalidArgument(field, core::SysError("stat", entry.host).message());
    }
    if (S_ISDIR(st.st_mode)) {
      MBX_RETURN_IF_ERROR(AddDirectory(entry, field, nodes));
    } else if (IsDevice(st.st_mode)) {
      MBX_RETURN_IF_ERROR(AddNode(entry, entry.host, entry.target, st, field, nodes));
    } else {
      return InvalidArgument(field, StrCat("'", entry.host, "' is not a device"));
    }
  }
  return nodes;
}

std::vector<DeviceRule> DeviceRules(const std::vector<DeviceNode>& nodes) {
  // A node is worth nothing without access: whoever may, makes what nodes they like.
  std::vector<DeviceRule> rules = {
      {DeviceRule::Type::kCharacter, -1, -1, false, false, true},
      {DeviceRule::Type::kBlock, -1, -1, false, false, true},
      Common(1, 3),    // null
      Common(1, 5),    // zero
      Common(1, 7),    // full
      Common(1, 8),    // random
      Common(1, 9),    // urandom
      Common(5, 0),    // tty
      Common(5, 2),    // ptmx
      Common(136, -1)  // pts
  };
  for (const DeviceNode& node : nodes) rules.push_back(node.rule);
  return rules;
}

Status PlanDevices(const ContainerDir& dir, const std::vector<DeviceNode>& nodes,
                   std::vector<init::MountOp>& ops, std::vector<BindSource>& sources) {
  const int fd = dir.dir().fd();
  struct statvfs fs;
  const bool own_nodes = fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NODEV) == 0;
  size_t count = 0;
  for (const DeviceNode& node : nodes) {
    init::MountOp op;
    op.kind = init::MountOp::Kind::kBind;
    op.target = node.target;
    op.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    op.fd_index = static_cast<int>(sources.size());
    BindSource source{.kind = BindSource::Kind::kHostPath, .name = node.host, .field = node.field};
    const std::string name = StrCat(kNodePrefix, count++);
    // Of an earlier start.
    if (unlinkat(fd, name.c_str(), 0) != 0 && errno != ENOENT) {
      return core::SysError("unlinkat", name);
    }
    if (own_nodes && mknodat(fd, name.c_str(), node.mode, node.number) == 0) {
      if (fchownat(fd, name.c_str(), node.uid, node.gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return core::SysError("fchownat", name);
      }
      if (fchmodat(fd, name.c_str(), node.mode & 07777, 0) != 0) {
        return core::SysError("fchmodat", name);
      }
      source.kind = BindSource::Kind::kGenerated;
      source.name = name;
      op.id_mapped = true;
    }
    sources.push_back(std::move(source));
    // Before a user's mount below it, after the devices of every container.
    ops.push_back(std::move(op));
  }
  return Status();
}

}  // namespace minibox::runtime
