// SPDX-License-Identifier: Apache-2.0
// What a COPY takes, read once: for the cache key, and then to be written (spec §7.5, §8.3).
#pragma once

#include <sys/stat.h>

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "build/cache_key.h"
#include "build/file_digests.h"
#include "build/source_tree.h"
#include "minibox/status.h"

namespace minibox::build {

struct CopyEntry {
  std::string source{};   // in the source tree
  std::string target{};   // below the match's destination; "" is that itself
  struct ::stat st {};    // with the mode to be written
  std::string link{};     // of symbolic links
  std::string content{};  // SHA-256 of a file
  std::map<std::string, std::string> xattrs{};
  int first_name = -1;  // of a hard link: index of the entry that has the content
};

struct CopyMatch {
  std::string name{};                // last component of a file, as it was found
  bool directory = false;            // its contents are merged into the destination
  std::vector<CopyEntry> entries{};  // parents first
};

struct CopyPlan {
  std::vector<CopyMatch> matches{};
  std::vector<std::string> notes{};  // entries left out and why

  // `with_owner`: that of the sources counts too.
  std::vector<KeyEntry> Key(bool with_owner = false) const;
};

// `chmod` replaces the modes; directories gain x where they have r. What cannot be read is an
// error, never left out. `digests` may be nullptr.
StatusOr<CopyPlan> PlanCopy(const SourceTree& tree, const std::vector<std::string>& sources,
                            std::optional<mode_t> chmod, FileDigests* digests,
                            std::stop_token stop);

}  // namespace minibox::build
