// SPDX-License-Identifier: Apache-2.0
// Unpacks a layer's tar onto a directory (spec §11.1-11.3): untrusted bytes in, files out,
// nothing outside. Whiteouts become overlay ones.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/compression.h"
#include "core/root_dir.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox::archive {

struct ApplyOptions {
  uint64_t max_entries = 10'000'000;
  uint64_t max_bytes = uint64_t{1} << 40;
  bool whiteouts = true;  // false: a root file system tar, ".wh." names are plain files
};

struct Applied {
  Digest diff_id;  // of the uncompressed tar, to its very end
  uint64_t entries = 0, bytes = 0;
  std::vector<std::string> notes{};  // entries left out and why
};

// `tar` yields the uncompressed bytes. `root` is an empty directory. A refusal is
// kInvalidArgument "invalid_archive", its message and field() naming the entry; the caller
// removes what is in `root`. Needs CAP_CHOWN, CAP_MKNOD etc. to be faithful.
StatusOr<Applied> ApplyLayer(const ReadFn& tar, const core::RootDir& root,
                             const ApplyOptions& options = {}, std::stop_token stop = {});

}  // namespace minibox::archive
