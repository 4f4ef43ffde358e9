// SPDX-License-Identifier: Apache-2.0
// How a function of minibox-init says what went wrong: it fills a Failure and returns false.
//
//   if (sys::PivotRoot(".", ".") != 0) return Fail(failure, "pivot_root");
#pragma once

#include <errno.h>
#include <string.h>

#include "init/protocol.h"
#include "init/text.h"

namespace minibox::init {

using MessageText = Text<sizeof(Failure::message)>;

inline bool FailWith(Failure& failure, FailureKind kind, int error, const char* field,
                     const MessageText& message) {
  memset(static_cast<void*>(&failure), 0, sizeof failure);
  failure.kind = kind;
  failure.error = error;
  Text<sizeof failure.field> name;
  name << field;
  memcpy(failure.field, name.c_str(), name.size());
  memcpy(failure.message, message.c_str(), message.size());
  return false;
}

// "<call> <object>", with errno.
inline bool Fail(Failure& failure, const char* call, const char* object = "") {
  const int error = errno;
  MessageText message;
  message << call;
  if (object[0] != '\0') message << ' ' << object;
  return FailWith(failure, FailureKind::kStartFailed, error, "", message);
}

// Of the request: "<call> '<object>'", with errno.
inline bool FailInvalid(Failure& failure, const char* field, const char* call, const char* object) {
  const int error = errno;
  MessageText message;
  message << call << " '" << object << '\'';
  return FailWith(failure, FailureKind::kInvalidArgument, error, field, message);
}

}  // namespace minibox::init
