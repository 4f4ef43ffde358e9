// SPDX-License-Identifier: Apache-2.0
// MBX_RETURN_IF_ERROR(expr);               returns the Status of expr unless OK
// MBX_ASSIGN_OR_RETURN(auto x, expr);      returns the error of a StatusOr, or moves its value
#pragma once

#include "minibox/status.h"

#define MBX_CONCAT_INNER(a, b) a##b
#define MBX_CONCAT(a, b) MBX_CONCAT_INNER(a, b)

#define MBX_RETURN_IF_ERROR(expr)              \
  do {                                         \
    ::minibox::Status mbx_status_ = (expr);    \
    if (!mbx_status_.ok()) return mbx_status_; \
  } while (false)

#define MBX_ASSIGN_OR_RETURN(lhs, expr) \
  MBX_ASSIGN_OR_RETURN_INNER(MBX_CONCAT(mbx_or_, __LINE__), lhs, expr)
#define MBX_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                               \
  if (!tmp.ok()) return tmp.status();              \
  lhs = std::move(*tmp)
