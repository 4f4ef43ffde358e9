// SPDX-License-Identifier: Apache-2.0
#include "minibox/status.h"

#include "core/strings.h"

namespace minibox {
inline namespace v1 {

struct Status::Rep {
  StatusCode code;
  std::string message;
  StatusDetails details;
};

namespace {

const std::string& EmptyString() {
  static const std::string empty;
  return empty;
}

std::string_view CodeName(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return "OK";
    case StatusCode::kCancelled:
      return "CANCELLED";
    case StatusCode::kUnknown:
      return "UNKNOWN";
    case StatusCode::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case StatusCode::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case StatusCode::kNotFound:
      return "NOT_FOUND";
    case StatusCode::kAlreadyExists:
      return "ALREADY_EXISTS";
    case StatusCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case StatusCode::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case StatusCode::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case StatusCode::kAborted:
      return "ABORTED";
    case StatusCode::kOutOfRange:
      return "OUT_OF_RANGE";
    case StatusCode::kUnimplemented:
      return "UNIMPLEMENTED";
    case StatusCode::kInternal:
      return "INTERNAL";
    case StatusCode::kUnavailable:
      return "UNAVAILABLE";
    case StatusCode::kDataLoss:
      return "DATA_LOSS";
    case StatusCode::kUnauthenticated:
      return "UNAUTHENTICATED";
  }
  return "UNKNOWN";
}

}  // namespace

Status::Status(StatusCode code, std::string message, StatusDetails details) {
  if (code == StatusCode::kOk) return;
  rep_ = std::make_shared<const Rep>(Rep{code, std::move(message), std::move(details)});
}

StatusCode Status::code() const noexcept { return ok() ? StatusCode::kOk : rep_->code; }

const std::string& Status::message() const noexcept { return ok() ? EmptyString() : rep_->message; }

int Status::sys_errno() const noexcept { return ok() ? 0 : rep_->details.sys_errno; }

const std::string& Status::reason() const noexcept {
  return ok() ? EmptyString() : rep_->details.reason;
}

const std::string& Status::field() const noexcept {
  return ok() ? EmptyString() : rep_->details.field;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return Status(rep_->code, core::StrCat(context, ": ", rep_->message), rep_->details);
}

Status Status::WithReason(std::string_view reason) const {
  if (ok()) return *this;
  StatusDetails details = rep_->details;
  details.reason = reason;
  return Status(rep_->code, rep_->message, std::move(details));
}

Status Status::WithField(std::string_view field) const {
  if (ok()) return *this;
  StatusDetails details = rep_->details;
  details.field = field;
  return Status(rep_->code, rep_->message, std::move(details));
}

std::string Status::ToString() const {
  if (ok()) return "OK";
  return core::StrCat(CodeName(rep_->code), ": ", rep_->message);
}

}  // namespace v1
}  // namespace minibox
