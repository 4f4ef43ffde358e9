// SPDX-License-Identifier: Apache-2.0
// A file system in memory: a disk that is as full, as small or as read-only as a test wants.
#pragma once

#include <string>

namespace minibox::testing {

class MemoryDisk {
 public:
  // Mounted on `path`, which is made; `size` as tmpfs takes it: "16m". `type` may be ramfs, which
  // has no size and no id maps. Needs root.
  MemoryDisk(std::string path, const std::string& size, const char* type = "tmpfs");
  // Detached: whoever still looks into it may go on.
  ~MemoryDisk();
  MemoryDisk(const MemoryDisk&) = delete;
  MemoryDisk& operator=(const MemoryDisk&) = delete;

  bool mounted() const { return mounted_; }
  const std::string& path() const { return path_; }
  bool SetReadOnly(bool read_only) const;
  bool Resize(const std::string& size) const;

 private:
  std::string path_;
  bool mounted_ = false;
};

}  // namespace minibox::testing
