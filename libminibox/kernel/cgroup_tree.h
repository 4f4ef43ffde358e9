// SPDX-License-Identifier: Apache-2.0
// The directories `<parent>/minibox/<id>` of one hierarchy of control groups: made, found and
// removed while other processes do the same.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::kernel {

// Makes and removes the directories; the kernel fills them. Tests put one in its place that
// fills directories of an ordinary file system. Thread-safe. Failures have the errno.
class CgroupFs {
 public:
  virtual ~CgroupFs() = default;
  virtual Status MakeDir(int parent, const std::string& name);
  virtual Status RemoveDir(int parent, const std::string& name);
};

using PathComponents = std::vector<std::string>;

// Immutable and thread-safe.
class CgroupTree {
 public:
  CgroupTree(std::string root, PathComponents parent, std::shared_ptr<CgroupFs> fs);

  const std::string& root() const { return root_; }
  std::string PathOf(std::string_view id) const;  // "/<parent>/minibox/<id>"

  // Called for each step from the root down to a group, with descriptors of both directories.
  using Step = std::function<Status(int parent, int child)>;
  // Makes the group and whatever is missing above it. An empty group of that name, left by a
  // crash, is replaced; one with processes is kAlreadyExists.
  StatusOr<core::Fd> Make(const std::string& id, const Step& step) const;
  // kNotFound.
  StatusOr<core::Fd> Open(const std::string& id, const Step& step = {}) const;
  // With the groups inside it, then the parents that are empty and were made by us. Absent is
  // OK; processes in it are kFailedPrecondition.
  Status Remove(const std::string& id) const;
  StatusOr<std::vector<std::string>> List() const;

 private:
  StatusOr<core::Fd> OpenStep(int parent, const std::string& name, bool make) const;
  StatusOr<core::Fd> Walk(const std::string& id, bool make, const Step& step) const;
  Status MakeGroup(int parent, const std::string& id) const;
  Status RemoveTree(int parent, const std::string& name, int depth = 0) const;
  Status RemoveGroup(int parent, const std::string& id) const;

  std::string root_;
  PathComponents above_;  // from the root to the directory that the groups are in
  std::shared_ptr<CgroupFs> fs_;
};

// Names of the directories in `dir`, sorted.
StatusOr<std::vector<std::string>> SubGroups(int dir);
StatusOr<core::Fd> OpenGroupDir(int parent, const std::string& name);

}  // namespace minibox::kernel
