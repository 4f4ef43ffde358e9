// SPDX-License-Identifier: Apache-2.0
#include "archive/live_ids.h"

#include <endian.h>
#include <linux/capability.h>

#include <cstring>

namespace minibox::archive {
namespace {

constexpr uint32_t kNobody = 65534;
constexpr size_t kWithRoot = sizeof(struct vfs_ns_cap_data);
constexpr size_t kWithoutRoot = sizeof(struct vfs_cap_data);

uint32_t RevisionAndFlags(const std::string& value) {
  uint32_t word = 0;
  std::memcpy(&word, value.data(), sizeof word);
  return le32toh(word);
}

void SetRevision(uint32_t revision, std::string& value) {
  const uint32_t word =
      htole32((RevisionAndFlags(value) & ~uint32_t{VFS_CAP_REVISION_MASK}) | revision);
  std::memcpy(value.data(), &word, sizeof word);
}

}  // namespace

std::optional<uint32_t> LiveIds::ToHost(uint64_t id) const {
  if (count == 0) return static_cast<uint32_t>(id);
  if (id >= count) return std::nullopt;
  return base + static_cast<uint32_t>(id);
}

uint32_t LiveIds::FromHost(uint32_t id) const {
  if (count == 0) return id;
  return id >= base && id - base < count ? id - base : kNobody;
}

std::string CapabilityToHost(const std::string& value, const LiveIds& ids) {
  if (ids.count == 0 || value.size() != kWithoutRoot ||
      (RevisionAndFlags(value) & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_2) {
    return value;
  }
  std::string result = value;
  SetRevision(VFS_CAP_REVISION_3, result);
  const uint32_t root = htole32(ids.base);
  result.append(reinterpret_cast<const char*>(&root), sizeof root);
  return result;
}

std::string CapabilityFromHost(const std::string& value, const LiveIds& ids) {
  if (ids.count == 0 || value.size() != kWithRoot ||
      (RevisionAndFlags(value) & VFS_CAP_REVISION_MASK) != VFS_CAP_REVISION_3) {
    return value;
  }
  uint32_t root = 0;
  std::memcpy(&root, value.data() + kWithoutRoot, sizeof root);
  if (le32toh(root) != ids.base) return value;
  std::string result = value.substr(0, kWithoutRoot);
  SetRevision(VFS_CAP_REVISION_2, result);
  return result;
}

}  // namespace minibox::archive
