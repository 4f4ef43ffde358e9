// SPDX-License-Identifier: Apache-2.0
// What `exec` and `compose exec` do once their request is made.
#pragma once

#include <string>

#include "commands.h"
#include "wire/exec_request.h"

namespace minibox::cli {

inline constexpr const char* kDefaultDetachKeys = "ctrl-p,ctrl-q";

// With the streams that it asks for. Exit status (spec §15.1).
int RunExec(Session& session, const wire::ExecRequest& request, const std::string& detach_keys);
// "K=V"; "K" alone takes the value that it has here.
std::vector<std::string> WithOwnValues(const std::vector<std::string>& variables);

}  // namespace minibox::cli
