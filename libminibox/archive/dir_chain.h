// SPDX-License-Identifier: Apache-2.0
// Descriptors of the directories last used in a tree, for work that goes through it in order:
// most entries are in the same directory as the one before.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::archive {

// A step is made from an open directory without following links; a component that is a link is
// resolved from the root by RootDir. Whoever removes or replaces something in the tree calls
// Forget(). Not thread-safe; not safe against changes by others.
class DirChain {
 public:
  // Called when `name` in the directory `parent` is no directory and no link; makes it one.
  // `path` is its path in the tree, `exists` whether something has that name.
  using MakeFn = std::function<Status(int parent, const std::string& name, std::string_view path,
                                      bool exists)>;

  static StatusOr<DirChain> Create(const core::RootDir& root);

  // The directory `path` (clean, relative; "" is the root), open for reading; borrowed, good
  // until the next call. Without `make` a missing component is an error.
  StatusOr<int> Open(std::string_view path, const MakeFn& make = {});
  // Hands over the directory `path`, just made below the last one opened.
  void Add(std::string_view path, core::Fd fd);
  // From the next call on.
  void Forget() { stale_ = true; }

 private:
  struct Link {
    std::string path;
    core::Fd fd;
  };
  DirChain(const core::RootDir& root, core::Fd top) : root_(&root), top_(std::move(top)) {}
  StatusOr<core::Fd> Step(int parent, const std::string& name, std::string_view path,
                          const MakeFn& make);
  void Keep(std::string_view path, core::Fd fd);

  const core::RootDir* root_;
  core::Fd top_;
  std::vector<Link> links_;  // each one above the next
  bool stale_ = false;
};

}  // namespace minibox::archive
