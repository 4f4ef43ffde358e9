// SPDX-License-Identifier: Apache-2.0
// What can only be given to directories when nothing more is made in them: the modification
// time, and the default ACL, which new entries would inherit.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "archive/dir_chain.h"
#include "core/fd.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::archive {

inline constexpr const char* kDefaultAcl = "system.posix_acl_default";

struct DirAttributes {
  int64_t mtime = 0;
  uint32_t mtime_nsec = 0;
  std::string default_acl{};  // empty: none
};

// A list in memory that continues in a nameless file of the tree beyond `memory_limit` bytes.
class DirFinish {
 public:
  explicit DirFinish(const core::RootDir& root, size_t memory_limit = 4u << 20)
      : root_(&root), memory_limit_(memory_limit) {}
  // Notes what the directory `fd`, whose path is `path`, shall get. Of several notes on one
  // directory the last counts.
  Status Add(std::string_view path, int fd, const DirAttributes& attributes);
  // Gives each what it shall get, unless it has been removed or replaced since.
  Status Apply(DirChain& chain);

 private:
  Status Spill();

  const core::RootDir* root_;
  const size_t memory_limit_;
  std::string records_;
  core::Fd spill_;
  bool has_acls_ = false;
};

}  // namespace minibox::archive
