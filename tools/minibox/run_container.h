// SPDX-License-Identifier: Apache-2.0
// What `run`, `create` and `db run` do once their request is made.
#pragma once

#include <string>

#include "commands.h"
#include "run_flags.h"
#include "wire/run_request.h"

namespace minibox::cli {

// Fetches the image if --pull says so. False: it failed, and that has been shown.
bool ProvideImage(Session& session, const RunFlags& flags, const wire::RunRequest& request);

// Creates the container, prints its id. Exit status (spec §15.1).
int CreateContainer(Session& session, const RunFlags& flags, const wire::RunRequest& request);

// Runs it: detached, or in the foreground until it has ended. Exit status (spec §15.1). `id`, if
// given, receives the id of a detached one, and stays as it is otherwise.
int RunContainer(Session& session, const RunFlags& flags, const wire::RunRequest& request,
                 std::string* id = nullptr);

}  // namespace minibox::cli
