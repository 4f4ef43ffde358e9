// SPDX-License-Identifier: Apache-2.0
// One entry of a tar archive, whichever dialect it was written in.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace minibox::archive {

enum class TarType { kFile, kHardLink, kSymlink, kCharDevice, kBlockDevice, kDirectory, kFifo };

// Where the next bytes of a sparse file's stored content belong.
struct TarExtent {
  uint64_t offset = 0, size = 0;
};

struct TarEntry {
  TarType type = TarType::kFile;
  std::string path{};  // as in the archive, bytes
  std::string link{};  // of links
  uint32_t mode = 0;   // 12 bits
  uint64_t uid = 0, gid = 0;
  int64_t mtime = 0;  // seconds, rounded down
  uint32_t mtime_nsec = 0;
  uint32_t major = 0, minor = 0;                // of devices
  uint64_t size = 0;                            // of the file, holes included
  std::map<std::string, std::string> xattrs{};  // all that the archive has
  bool sparse = false;
  std::vector<TarExtent> extents{};  // of a sparse file, ascending
};

}  // namespace minibox::archive
