// SPDX-License-Identifier: Apache-2.0
// Whole files, and replacing them so that no crash leaves half of one.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

Status WriteAll(int fd, std::string_view bytes);
// Reads to end of file; kResourceExhausted beyond `limit`.
StatusOr<std::string> ReadAll(int fd, size_t limit);
StatusOr<std::string> ReadFileAt(int dir, std::string_view name, size_t limit);
// Temporary file in `dir`, fsync, rename over `name`, fsync of the directory. `name` is
// a single component. On any error the old content stays.
Status ReplaceFileAt(int dir, std::string_view name, std::string_view bytes, mode_t mode = 0600);
// The name that a temporary file of ReplaceFileAt was for, which a process left that died; empty
// if `file` is no such name.
std::string_view NameReplacedBy(std::string_view file);
// Writes an existing kernel file (cgroupfs, /proc/sys) in one write(2).
Status WriteKernelFileAt(int dir, std::string_view path, std::string_view value);
Status SyncDir(int dir);
// A fresh temporary directory below `parent`, removed with its content by the destructor.
class TempDir {
 public:
  static StatusOr<TempDir> Create(std::string_view parent, std::string_view prefix);
  TempDir(TempDir&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }
  TempDir& operator=(TempDir&&) = delete;
  ~TempDir();
  const std::string& path() const { return path_; }

 private:
  explicit TempDir(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace minibox::core
