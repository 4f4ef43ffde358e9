// SPDX-License-Identifier: Apache-2.0
// A compose project on a daemon.
#pragma once

#include <memory>

#include "commands.h"
#include "minibox/compose.h"

namespace minibox::cli {

// The session must outlive it. Its calls may be made from several threads.
StatusOr<std::shared_ptr<ComposeBackend>> HttpComposeBackend(Session& session);

}  // namespace minibox::cli
