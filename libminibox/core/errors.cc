// SPDX-License-Identifier: Apache-2.0
#include "core/errors.h"

#include <cstring>

#include "core/strings.h"

namespace minibox::core {
namespace {

StatusCode CodeOfErrno(int err) {
  switch (err) {
    case ENOENT:
      return StatusCode::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return StatusCode::kPermissionDenied;
    case EEXIST:
      return StatusCode::kAlreadyExists;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return StatusCode::kResourceExhausted;
    case EINVAL:
      return StatusCode::kInvalidArgument;
    default:
      return StatusCode::kInternal;
  }
}

}  // namespace

Status Error(StatusCode code, std::string_view reason, std::string message) {
  return Status(code, std::move(message), {.reason = std::string(reason)});
}

Status InvalidArgument(std::string_view field, std::string_view message) {
  return Status(StatusCode::kInvalidArgument, StrCat(field, ": ", message),
                {.reason = "invalid_argument", .field = std::string(field)});
}

Status NotFound(std::string_view reason, std::string message) {
  return Error(StatusCode::kNotFound, reason, std::move(message));
}

Status FailedPrecondition(std::string_view reason, std::string message) {
  return Error(StatusCode::kFailedPrecondition, reason, std::move(message));
}

Status Internal(std::string message) {
  return Error(StatusCode::kInternal, "internal", std::move(message));
}

Status Cancelled(std::string_view what) {
  return Error(StatusCode::kCancelled, "", StrCat(what, ": cancelled"));
}

Status DataLoss(std::string message) {
  return Error(StatusCode::kDataLoss, "data_loss", std::move(message));
}

Status SysError(std::string_view call, std::string_view object, int err) {
  if (err == 0) err = errno;
  // strerror() is not thread-safe and translates; this is neither.
  const char* text = strerrordesc_np(err);
  std::string message(call);
  if (!object.empty()) message.append(" ").append(object);
  message += ": ";
  message += text != nullptr ? std::string(text) : StrCat("error ", err);
  StatusDetails details{.sys_errno = err};
  if (err == ENOSPC || err == EDQUOT) details.reason = "no_space";
  return Status(CodeOfErrno(err), std::move(message), std::move(details));
}

}  // namespace minibox::core
