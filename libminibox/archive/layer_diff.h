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

// `tar` receives the uncompressed bytes.
StatusOr<Diff> WriteLayer(const core::RootDir& tree, const WriteFn& tar,
                          const DiffOptions& options = {}, std::stop_token stop = {});

}  // namespace minibox::archive
