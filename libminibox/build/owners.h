// SPDX-License-Identifier: Apache-2.0
// Names of users and groups, looked up in the root that is being built (spec §7.3, §12.7).
#pragma once

#include <sys/types.h>

#include <string>

#include "core/root_dir.h"
#include "minibox/status.h"

namespace minibox::build {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// `user` is "name[:group]" or numbers, "" is 0:0. kInvalidArgument if the root knows none of
// that name.
StatusOr<Owner> LookUpOwner(const core::RootDir& root, const std::string& user);

}  // namespace minibox::build
