// SPDX-License-Identifier: Apache-2.0
#include "store/disk_usage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "core/strings.h"

namespace minibox::store {
namespace {

constexpr uint64_t kStatBlock = 512;

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

uint64_t DiskUsage::Add(const core::RootDir& root, std::string_view path) {
  const auto top = root.LStat(path);
  if (!top.ok()) return 0;
  uint64_t bytes = static_cast<uint64_t>(top->st_blocks) * kStatBlock;
  const dev_t device = top->st_dev;
  std::vector<std::string> pending;
  if (S_ISDIR(top->st_mode)) {
    pending.emplace_back(path);
  } else if (top->st_nlink > 1 && !seen_.emplace(device, top->st_ino).second) {
    bytes = 0;
  }
  while (!pending.empty()) {
    const std::string directory = std::move(pending.back());
    pending.pop_back();
    auto fd = root.OpenNoFollow(directory, O_RDONLY | O_DIRECTORY);
    if (!fd.ok()) continue;
    const std::unique_ptr<DIR, CloseDir> dir(fdopendir(fd->get()));
    if (dir == nullptr) continue;
    const int number = fd->release();
    while (const dirent* entry = readdir(dir.get())) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct ::stat st {};
      if (fstatat(number, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
      if (st.st_dev != device) continue;
      if (S_ISDIR(st.st_mode)) {
        pending.push_back(core::StrCat(directory, "/", name));
      } else if (st.st_nlink > 1 && !seen_.emplace(st.st_dev, st.st_ino).second) {
        continue;
      }
      bytes += static_cast<uint64_t>(st.st_blocks) * kStatBlock;
    }
  }
  total_ += bytes;
  return bytes;
}

}  // namespace minibox::store
