// SPDX-License-Identifier: Apache-2.0
// The only place where errors are made.
//
//   return core::InvalidArgument("workdir", "must be absolute");   // names the field
//   return core::SysError("openat2", path);                        // reads errno
//   return core::Error(StatusCode::kNotFound, "image_not_found", "image not found");
//
// Messages: lower case, no full stop, user text in '…'. `reason` only for what a
// program can act on; the list is docs/errors.md.
#pragma once

#include <cerrno>
#include <string>
#include <string_view>

#include "minibox/status.h"

namespace minibox::core {

Status Error(StatusCode code, std::string_view reason, std::string message);
// kInvalidArgument, reason "invalid_argument", message "<field>: <message>".
Status InvalidArgument(std::string_view field, std::string_view message);
Status NotFound(std::string_view reason, std::string message);
Status FailedPrecondition(std::string_view reason, std::string message);
Status Internal(std::string message);
Status Cancelled(std::string_view what);
Status DataLoss(std::string message);

// "<call> <object>: <strerror>"; the code follows the errno (ENOENT kNotFound,
// EACCES/EPERM/EROFS kPermissionDenied, EEXIST kAlreadyExists, ENOSPC/EDQUOT
// kResourceExhausted with reason "no_space", ENOMEM kResourceExhausted, EINVAL
// kInvalidArgument, else kInternal). `err` 0 reads errno.
Status SysError(std::string_view call, std::string_view object, int err = 0);

}  // namespace minibox::core
