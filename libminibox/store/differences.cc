// SPDX-License-Identifier: Apache-2.0
#include "store/differences.h"

#include <algorithm>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::store {

StatusOr<std::vector<std::string>> TreesOf(const Snapshots& snapshots, std::string_view key) {
  std::vector<std::string> trees;
  for (std::string next(key);;) {
    const auto record = snapshots.Peek(next);
    if (!record) {
      return core::NotFound("snapshot_not_found",
                            core::StrCat("snapshot ", key.substr(0, 12), " not found"));
    }
    trees.push_back(next);
    if (!record->results.contains(kOverResult)) break;
    next = record->parent;
  }
  std::reverse(trees.begin(), trees.end());
  return trees;
}

StatusOr<std::string> InodeOf(const DataRoot& root, std::string_view key) {
  MBX_ASSIGN_OR_RETURN(const struct ::stat st, root.dir().LStat(Snapshots::Path(key)));
  return std::to_string(st.st_ino);
}

}  // namespace minibox::store
