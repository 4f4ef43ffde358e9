// SPDX-License-Identifier: Apache-2.0
// Paths of the container, resolved inside its root whatever links the image holds.
#pragma once

#include <stdint.h>
#include <sys/types.h>

namespace minibox::init {

// -1 and errno. Links are followed inside the root, magic links (/proc/<pid>/fd/…) never.
// `flags` as openat(2); `resolve` adds to RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS.
// `mode` is for O_CREAT.
int OpenInRoot(int root, const char* path, uint64_t flags, uint64_t resolve = 0, uint64_t mode = 0);

// The directory at `path` as O_PATH descriptor; what is missing is created with mode 0755,
// following links inside the root, dangling ones too. `created` (may be null) says whether.
int OpenOrMakeDir(int root, const char* path, bool* created = nullptr);

// An O_PATH descriptor to mount on: an existing entry of any type, or a new directory or empty
// file.
int OpenOrMakeTarget(int root, const char* path, bool directory);

// "<name>" below an existing directory; -1 and errno.
bool WriteFile(int dir, const char* path, const char* text);

}  // namespace minibox::init
