// SPDX-License-Identifier: Apache-2.0
#include "support/memory_disk.h"

#include <sys/mount.h>

#include <filesystem>
#include <utility>

namespace minibox::testing {

MemoryDisk::MemoryDisk(std::string path, const std::string& size, const char* type)
    : path_(std::move(path)) {
  std::filesystem::create_directories(path_);
  mounted_ = mount("none", path_.c_str(), type, MS_NOSUID, ("mode=700,size=" + size).c_str()) == 0;
}

MemoryDisk::~MemoryDisk() {
  if (mounted_) (void)umount2(path_.c_str(), MNT_DETACH);  // the leak check tells
}

bool MemoryDisk::SetReadOnly(bool read_only) const {
  const unsigned long flags = MS_REMOUNT | MS_NOSUID | (read_only ? MS_RDONLY : 0);
  return mount(nullptr, path_.c_str(), nullptr, flags, nullptr) == 0;
}

bool MemoryDisk::Resize(const std::string& size) const {
  return mount(nullptr, path_.c_str(), nullptr, MS_REMOUNT | MS_NOSUID, ("size=" + size).c_str()) ==
         0;
}

}  // namespace minibox::testing
