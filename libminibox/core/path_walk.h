// SPDX-License-Identifier: Apache-2.0
// Resolves a path inside a directory one component at a time, by O_PATH descriptors: what
// openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) does, for kernels without it and for
// creating missing directories on the way. Behind core/root_dir.h.
//
// Every descriptor is reached from the root by steps that the kernel does not follow links in;
// ".." goes back to the descriptor that the walk came from. So a tree that is changed
// meanwhile can make the walk fail, but not leave.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>

#include "core/fd.h"
#include "minibox/status.h"

namespace minibox::core {

struct WalkOptions {
  int flags = 0;  // of the final open; O_NOFOLLOW is honoured, O_CLOEXEC added
  mode_t mode = 0;
  // Missing components become directories of this mode, whatever the umask, owned by 0:0.
  std::optional<mode_t> make_dirs{};
};

// `path` has no NUL byte.
StatusOr<Fd> WalkPath(int root, std::string_view path, const WalkOptions& options);

// mkdirat with exactly this mode. With `own`, root makes it 0:0 also where the parent's
// setgid bit would give its group.
Status MakeDirExactly(int parent, const char* name, mode_t mode, bool own);

}  // namespace minibox::core
