// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "minibox/export.h"

namespace minibox {
inline namespace v1 {

// Canonical error space. Numbers equal absl::StatusCode and gRPC and never
// change meaning; new codes are only appended.
enum class StatusCode : int {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

// What a Status carries besides its code; see the accessors of Status.
struct StatusDetails {
  int sys_errno = 0;
  std::string reason{};
  std::string field{};
};

// The outcome of an operation. Immutable and cheap to copy; const access from
// several threads is safe.
class [[nodiscard]] MINIBOX_EXPORT Status {
 public:
  Status() noexcept = default;  // OK
  Status(StatusCode code, std::string message, StatusDetails details = {});

  bool ok() const noexcept { return rep_ == nullptr; }
  StatusCode code() const noexcept;
  const std::string& message() const noexcept;

  // errno of the system call that failed, or 0.
  int sys_errno() const noexcept;
  // Stable machine-readable cause, e.g. "image_in_use"; empty if none. Listed in
  // docs/errors.md; the HTTP and C APIs expose the same strings.
  const std::string& reason() const noexcept;
  // The request field or parameter at fault, e.g. "ports[\"8080\"]"; empty if none.
  const std::string& field() const noexcept;

  // Returns this status with `context` and ": " in front of the message. OK stays OK.
  Status WithContext(std::string_view context) const;
  // Returns this status with the given reason or field. OK stays OK.
  Status WithReason(std::string_view reason) const;
  Status WithField(std::string_view field) const;

  // "OK", or "<code name>: <message>".
  std::string ToString() const;

 private:
  struct Rep;
  std::shared_ptr<const Rep> rep_;
};

// Either a value or the reason there is none. Dereferencing an error aborts.
template <typename T>
class [[nodiscard]] StatusOr {
 public:
  StatusOr(T value) : rep_(std::in_place_index<1>, std::move(value)) {}
  StatusOr(Status status) : rep_(std::in_place_index<0>, std::move(status)) {
    if (std::get<0>(rep_).ok()) std::abort();
  }

  bool ok() const noexcept { return rep_.index() == 1; }
  Status status() const { return ok() ? Status() : std::get<0>(rep_); }

  T& value() & { return Value(rep_); }
  const T& value() const& { return Value(rep_); }
  T&& value() && { return std::move(Value(rep_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  template <typename V>
  static auto& Value(V& v) {
    if (v.index() != 1) std::abort();
    return *std::get_if<1>(&v);
  }
  std::variant<Status, T> rep_;
};

}  // namespace v1
}  // namespace minibox
