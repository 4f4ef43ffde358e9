// SPDX-License-Identifier: Apache-2.0
// Writes a directory tree (an overlay upper, or a whole root) as a deterministic layer tar
// (spec §8.7, §11.3): sorted by path bytes, no names, no atime or ctime; overlay whiteouts
// become .wh. entries, the opaque marker first in its directory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "archive/compression.h"
#include "archive/live_ids.h"
#include "core/root_dir.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::archive {

struct DiffOptions {
  // Later mtimes become this (seconds); nullopt keeps all.
  std::optional<int64_t> max_mtime{};
  // Entries that are left out, with all below them; paths are relative to the tree. Empty: none.
  std::function<bool(std::string_view path)> skip{};
};

struct Diff {
  Digest diff_id;
  uint64_t bytes = 0;    // of the uncompressed tar
  uint64_t entries = 0;  // 0: the tree changes nothing
};

// What a copy takes out of a tree that is in use (spec §12.17): all that is there, with the ids of
// the container, and nothing of overlayfs. What vanishes meanwhile is left out, a file that shrinks
// is filled with zeros; of file systems like proc there is only the directory. Nothing but regular
// files and directories is opened.
struct LiveSource {
  std::string top{};  // what the copied entry is called in the archive; "": only what is below it
  LiveIds ids{};
};
// `node` is an open descriptor, O_PATH or not, of a directory or any other entry.
Status WriteLiveTree(int node, const LiveSource& source, const WriteFn& tar,
                     std::stop_token stop = {});

// `tar` receives the uncompressed bytes.
StatusOr<Diff> WriteLayer(const core::RootDir& tree, const WriteFn& tar,
                          const DiffOptions& options = {}, std::stop_token stop = {});

}  // namespace minibox::archive
