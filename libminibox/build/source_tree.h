// SPDX-License-Identifier: Apache-2.0
// Where COPY takes from: the context, or the root of another block (spec §7.5). Everything is
// resolved by descriptor inside that root.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "build/ignore.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct SourceMatch {
  std::string shown{};  // as the pattern found it
  std::string path{};   // the same without links; "" is the root
  bool directory = false;
};

// Thread-safe.
class SourceTree {
 public:
  // The context: rules of its ignore file; a path or link whose ".." leads out is an error.
  static SourceTree Context(core::RootDir root, IgnoreRules rules);
  // A block's root: links out of it end at its top, as they do for a program in it.
  static SourceTree BlockRoot(core::RootDir root);

  // What `pattern` (clean, relative, "" is the root) stands for, sorted; links named by it are
  // followed. kNotFound if nothing, or nothing that is not ignored.
  StatusOr<std::vector<SourceMatch>> Match(std::string_view pattern) const;
  // Whether an entry found in a directory that is not ignored, is.
  bool Ignores(std::string_view path, bool directory) const {
    return rules_.Ignores(path, directory);
  }
  const core::RootDir& root() const { return root_; }
  bool is_context() const { return is_context_; }

 private:
  SourceTree(core::RootDir root, IgnoreRules rules, bool is_context)
      : root_(std::move(root)), rules_(std::move(rules)), is_context_(is_context) {}
  // The path without links. kNotFound, kInvalidArgument.
  StatusOr<std::string> Resolve(std::string_view path) const;
  Status Expand(const std::string& directory, const std::string& shown,
                const std::vector<std::string>& pattern, size_t next,
                std::vector<SourceMatch>& matches) const;
  Status AddMatch(const std::string& shown, std::vector<SourceMatch>& matches) const;

  core::RootDir root_;
  IgnoreRules rules_;
  bool is_context_;
};

}  // namespace minibox::build
