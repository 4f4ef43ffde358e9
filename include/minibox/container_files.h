// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

// Takes a stream of bytes. An error ends the operation with that error.
using BytesSink = std::function<Status(std::string_view bytes)>;

// What a container's file system has that its image has not (spec §12.17).
struct FileChange {
  enum class Kind { kAdded, kChanged, kDeleted };
  std::string path{};  // absolute
  Kind kind = Kind::kAdded;
};

struct CommitOptions {
  std::string image{};              // name of the new image
  std::string message{}, author{};  // of its history
  bool pause = true;                // the container is paused meanwhile
  // Instructions of a MiniBox file that change the config: "ENV A=b", "CMD [\"x\"]", "WORKDIR /",
  // "USER u", "LABEL k=v", "EXPOSE 80", "VOLUME /v", "ENTRYPOINT […]", "STOPSIGNAL TERM".
  std::vector<std::string> changes{};
};

// What a path of a container stands for.
struct PathStat {
  std::string name{};  // last component of the path; "/" is the root
  uint64_t size = 0;
  uint32_t mode = 0;  // type and permissions, as st_mode
  TimePoint mtime{};
  std::string link_target{};  // of a symbolic link
};

struct CopyOutOptions {
  bool follow_link = false;  // a link as last component stands for what it leads to
  // Called once, before the first byte. An error ends the copy with that error.
  std::function<Status(const PathStat&)> found{};
};

struct CopyInOptions {
  bool keep_ids = false;  // owners as in the archive instead of 0:0
};

// The other end of a copy: trees of the program's own as tar streams, and back. Paths are resolved
// as the program's always are; links that are met below them are never followed out of them.

struct PackOptions {
  std::string name{};        // what the entry is called in the archive; "": only what is below it
  bool follow_link = false;  // of `path` itself
};
// `path` and, if it is a directory, all below it. kNotFound, kPermissionDenied.
MINIBOX_EXPORT Status PackTree(const std::filesystem::path& path, const PackOptions& options,
                               const BytesSink& tar, std::stop_token stop = {});

struct UnpackOptions {
  // What the first component of each name in the archive becomes; "": what is below it goes into
  // the directory itself. Unset: names stay.
  std::optional<std::string> name{};
  bool keep_ids = false;  // owners as in the archive instead of whoever unpacks
};
// Merges the tar that is read from `tar` (borrowed) into an existing directory. A directory does
// not make way for a file, nor a file for a directory: kInvalidArgument "invalid_archive".
MINIBOX_EXPORT Status UnpackTree(int tar, const std::filesystem::path& directory,
                                 const UnpackOptions& options = {}, std::stop_token stop = {});

}  // namespace v1
}  // namespace minibox
