// SPDX-License-Identifier: Apache-2.0
// How a directory tree says to overlayfs what it hides of the layers below (spec §11.3).
//
// With the rights of root: a character device 0/0 hides a name, trusted.overlay.opaque = y
// hides what else a directory has below. Without: an empty file with user.overlay.whiteout in
// a directory with user.overlay.opaque = x, and user.overlay.opaque = y.
#pragma once

#include <sys/stat.h>

#include <string>

#include "minibox/status.h"

namespace minibox::archive {

// Hides `name` of the directory `dir`; nothing has that name.
Status MakeWhiteout(int dir, const std::string& name);
// Whether the entry `name` of `dir`, which looks like `st`, is a whiteout.
StatusOr<bool> IsWhiteout(int dir, const std::string& name, const struct ::stat& st);

Status SetOpaque(int dir);
StatusOr<bool> IsOpaque(int dir);

}  // namespace minibox::archive
