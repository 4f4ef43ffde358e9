// SPDX-License-Identifier: Apache-2.0
// A directory that nothing resolved through it can leave.
//
// Every path of an image, an archive, a build file or a request is resolved here:
// openat2 with RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS, so absolute links and ".."
// stay inside. Where the kernel has no openat2 an O_PATH walk does the same.
// Operations on an entry resolve its parent that way and never follow the last
// component. Paths may begin with '/' or not; "" and "." mean the root itself.
// Thread-safe.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

class RootDir {
 public:
  RootDir() = default;
  explicit RootDir(Fd dir) : dir_(std::move(dir)) {}
  // `path` is trusted: a configured directory, resolved normally, once.
  static StatusOr<RootDir> Open(std::string_view path);
  // A RootDir on the same directory, with a descriptor of its own.
  StatusOr<RootDir> Clone() const;
  int fd() const { return dir_.get(); }
  bool valid() const { return dir_.valid(); }

  // Opens following links inside the root; flags as openat(2), O_CLOEXEC added.
  StatusOr<Fd> OpenAt(std::string_view path, int flags, mode_t mode = 0) const;
  // The same, but a link as last component is an error (ELOOP) or, with O_PATH, the link itself.
  StatusOr<Fd> OpenNoFollow(std::string_view path, int flags, mode_t mode = 0) const;
  // The resolved directory as a root of its own.
  StatusOr<RootDir> OpenDir(std::string_view path) const;
  // The parent of `path` resolved inside the root, and the last component. kInvalidArgument
  // if the last component is "..".
  struct Parent {
    Fd dir;
    std::string name;  // "." if the path is the root
  };
  StatusOr<Parent> OpenParent(std::string_view path) const;

  StatusOr<struct ::stat> Stat(std::string_view path) const;   // follows, inside
  StatusOr<struct ::stat> LStat(std::string_view path) const;  // the entry itself
  bool Exists(std::string_view path) const;                    // LStat succeeds
  StatusOr<std::string> ReadLink(std::string_view path) const;
  StatusOr<std::string> ReadFile(std::string_view path, size_t limit) const;
  // Entry names without "." and "..", sorted by bytes.
  StatusOr<std::vector<std::string>> List(std::string_view path) const;

  // kAlreadyExists if the entry exists.
  Status MakeDir(std::string_view path, mode_t mode) const;
  // Creates what is missing, following links inside the root, with `mode` whatever the
  // umask, owner 0:0.
  Status MakeDirs(std::string_view path, mode_t mode) const;
  Status Symlink(std::string_view target, std::string_view path) const;
  Status Unlink(std::string_view path) const;  // a non-directory
  // Removes the entry and everything below; never follows a link, never crosses a mount
  // point. Absent is OK.
  Status RemoveAll(std::string_view path) const;
  // Renames within this root; the target must not exist unless `replace`.
  Status Rename(std::string_view from, std::string_view to, bool replace = false) const;

 private:
  Fd dir_;
};

// Removes everything in the directory `dir` (borrowed), not the directory itself.
Status RemoveContents(int dir);

}  // namespace minibox::core
