// SPDX-License-Identifier: Apache-2.0
// Leases with `keep` (see Leases::Acquire) protect what a failed operation has fetched for its next
// attempt. One without blobs protects nothing, and ends with its operation.
#pragma once

#include <string_view>

#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::store {

// An operation of that name has succeeded: what failed attempts at it have kept is not kept any
// longer. Thread-safe; those that somebody holds stay.
Status ForgetKeptLeases(const DataRoot& root, std::string_view operation);

}  // namespace minibox::store
