// SPDX-License-Identifier: Apache-2.0
// Unpacks a layer's tar onto a directory (spec §11.1-11.3): untrusted bytes in, files out,
// nothing outside. Whiteouts become overlay ones.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/compression.h"
#include "archive/live_ids.h"
#include "core/root_dir.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::archive {

// A tree that is there and in use, which others may change meanwhile (spec §12.17): entries are
// merged into it instead of being all of it. Nothing of it is followed out of `root`, opened for
// writing or changed before it is known to be what was just made; only a file that something is
// mounted on is written in place, as it cannot be replaced. A directory does not make way for a
// file, nor a file for a directory. The calling thread's file system ids make what is made.
struct LiveTarget {
  // Existing directory of `root` that entries go into: clean, relative, "" is the root.
  std::string into{};
  // What the first component of every entry becomes; "": what is below it goes into `into`.
  std::optional<std::string> top{};
  enum class Owner {
    kArchive,  // as in the archive
    kRoot,     // 0:0; a set-id bit of another's file goes
    kCaller,   // whoever unpacks
  };
  Owner owner = Owner::kArchive;
  LiveIds ids{};
};

struct ApplyOptions {
  uint64_t max_entries = 10'000'000;
  uint64_t max_bytes = uint64_t{1} << 40;
  bool whiteouts = true;             // false: a root file system tar, ".wh." names are plain files
  std::optional<LiveTarget> live{};  // unset: `root` is an empty directory of our own
};

struct Applied {
  Digest diff_id;  // of the uncompressed tar, to its very end
  uint64_t entries = 0, bytes = 0;
  std::vector<std::string> notes{};  // entries left out and why
};

// `tar` yields the uncompressed bytes; it is called by other threads too, one at a time. `root` is
// an empty directory, but for `live`. A refusal is kInvalidArgument "invalid_archive", its message
// and field() naming the entry; the caller removes what is in `root`, but for `live`. Needs
// CAP_CHOWN, CAP_MKNOD etc. to be faithful.
StatusOr<Applied> ApplyLayer(const ReadFn& tar, const core::RootDir& root,
                             const ApplyOptions& options = {}, std::stop_token stop = {});

}  // namespace minibox::archive
