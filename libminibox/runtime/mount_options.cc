// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount_options.h"

#include <sys/mount.h>

#include <algorithm>
#include <vector>

#include "core/errors.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

constexpr size_t kMaxPath = 4095;
constexpr uint64_t kMaxId = 4294967294;

struct Flag {
  std::string_view name;
  uint64_t set, clear;
};
constexpr Flag kFlags[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},     {"rw", 0, MOUNT_ATTR_RDONLY},
    {"noexec", MOUNT_ATTR_NOEXEC, 0}, {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"nosuid", MOUNT_ATTR_NOSUID, 0}, {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},   {"dev", 0, MOUNT_ATTR_NODEV},
};

constexpr std::pair<std::string_view, uint64_t> kPropagation[] = {
    {"rprivate", MS_PRIVATE}, {"rslave", MS_SLAVE}, {"rshared", MS_SHARED}};

bool IsTmpfsSize(std::string_view text) {
  if (!text.empty() && std::string_view("kKmMgG%").find(text.back()) != std::string_view::npos) {
    text.remove_suffix(1);
  }
  const auto value = core::ParseUint64(text);
  return value && *value > 0;
}

bool IsMode(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("01234567") == std::string_view::npos &&
         std::stoul(std::string(text), nullptr, 8) <= 07777;
}

bool IsId(std::string_view text) {
  const auto value = core::ParseUint64(text);
  return value && *value <= kMaxId;
}

}  // namespace

StatusOr<MountOptions> ParseMountOptions(Mount::Kind kind, std::string_view options,
                                         std::string_view field) {
  const bool tmpfs = kind == Mount::Kind::kTmpfs;
  MountOptions result;
  result.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (tmpfs ? MOUNT_ATTR_NOEXEC : 0);
  result.propagation = MS_PRIVATE;
  std::string mode = "1777", size, uid, gid;
  for (const std::string_view option : core::StrSplit(options, ',')) {
    if (option.empty() || option == "z" || option == "Z") continue;
    const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags),
                                    [&](const Flag& row) { return row.name == option; });
    if (flag != std::end(kFlags)) {
      result.attributes = (result.attributes & ~flag->clear) | flag->set;
      continue;
    }
    const auto* propagation = std::find_if(std::begin(kPropagation), std::end(kPropagation),
                                           [&](const auto& row) { return row.first == option; });
    if (propagation != std::end(kPropagation)) {
      result.propagation = propagation->second;
      continue;
    }
    if (option == "nocreate" && kind == Mount::Kind::kBind) {
      result.create = false;
      continue;
    }
    if (option == "nocopy" && kind == Mount::Kind::kVolume) {
      result.copy_up = false;
      continue;
    }
    const size_t equals = option.find('=');
    if (tmpfs && equals != std::string_view::npos) {
      const std::string_view key = option.substr(0, equals), value = option.substr(equals + 1);
      const auto store = [&value](bool valid, std::string& into) {
        if (valid) into = value;
        return valid;
      };
      if ((key == "size" && store(IsTmpfsSize(value), size)) ||
          (key == "mode" && store(IsMode(value), mode)) ||
          (key == "uid" && store(IsId(value), uid)) || (key == "gid" && store(IsId(value), gid))) {
        continue;
      }
    }
    return core::InvalidArgument(field, core::StrCat("invalid option '", option, "'"));
  }
  if (tmpfs) {
    result.tmpfs_data = "mode=" + mode;
    if (!size.empty()) result.tmpfs_data += ",size=" + size;
    if (!uid.empty()) result.tmpfs_data += ",uid=" + uid;
    if (!gid.empty()) result.tmpfs_data += ",gid=" + gid;
  }
  return result;
}

std::string MountField(const Mount& mount) {
  switch (mount.kind) {
    case Mount::Kind::kBind:
      return core::StrCat("volumes[\"", mount.source, "\"]");
    case Mount::Kind::kVolume:
      return core::StrCat("named_volumes[\"", mount.source, "\"]");
    case Mount::Kind::kTmpfs:
      return core::StrCat("tmpfs[\"", mount.target, "\"]");
  }
  return "mounts";
}

std::optional<std::string> CleanPath(std::string_view path) {
  if (path.empty() || path.front() != '/' || path.size() > kMaxPath || !core::IsValidUtf8(path) ||
      std::any_of(path.begin(), path.end(),
                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return std::nullopt;
  }
  std::vector<std::string> parts;
  for (const std::string_view part : core::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.emplace_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return "/" + core::StrJoin(parts, "/");
}

bool IsWithin(std::string_view path, std::string_view directory) {
  if (directory == "/" || path == directory) return true;
  return path.starts_with(directory) && path[directory.size()] == '/';
}

}  // namespace minibox::runtime
