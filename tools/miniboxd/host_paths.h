// SPDX-License-Identifier: Apache-2.0
// Which paths of the daemon's host a request may name (spec §3, "host path"): build contexts and
// archives lie under MINIBOX_BUILD_PREFIXES and not in MiniBox's own directories.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minibox/status.h"

namespace miniboxd {

// A file being written beside the name that it will have. Thrown away unless committed.
class NewFile {
 public:
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();
  int fd() const { return fd_; }
  // On disk, then renamed: it replaces only a regular file.
  minibox::Status Commit();

 private:
  friend class HostPaths;
  NewFile(int directory, int fd, std::string temporary, std::string name, std::string field)
      : directory_(directory),
        fd_(fd),
        temporary_(std::move(temporary)),
        name_(std::move(name)),
        field_(std::move(field)) {}
  int directory_ = -1, fd_ = -1;
  std::string temporary_, name_, field_;
};

class HostPaths {
 public:
  HostPaths(std::vector<std::string> prefixes, std::string data_root, std::string run_dir)
      : prefixes_(std::move(prefixes)),
        data_root_(std::move(data_root)),
        run_dir_(std::move(run_dir)) {}

  // The path with all symbolic links resolved. kInvalidArgument "path_not_allowed" or, if it
  // does not exist, the system's error as kInvalidArgument; field() is `field`.
  minibox::StatusOr<std::string> Resolve(std::string_view path, std::string_view field) const;
  // A descriptor for reading of the regular file there, which the caller closes. What was
  // checked is what is opened.
  minibox::StatusOr<int> OpenFile(std::string_view path, std::string_view field) const;
  // A file of mode 0600 that will be there; its directory must exist and be permitted.
  minibox::StatusOr<NewFile> CreateFile(std::string_view path, std::string_view field) const;

 private:
  minibox::Status Check(const std::string& resolved, std::string_view field) const;

  std::vector<std::string> prefixes_;
  std::string data_root_, run_dir_;
};

}  // namespace miniboxd
