// SPDX-License-Identifier: Apache-2.0
// execve with the search and the classes of failure of spec §12.2 and §12.6.
#pragma once

#include "init/protocol.h"

namespace minibox::init {

// A name without '/' is searched in the PATH of `env`. Returns only on failure.
void Exec(const char* const* argv, const char* const* env, Failure& failure);

// What it means that execve of the file that `exists` failed with `error`.
FailureKind ClassifyExecError(int error, bool exists);

}  // namespace minibox::init
