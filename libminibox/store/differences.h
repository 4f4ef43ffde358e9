// SPDX-License-Identifier: Apache-2.0
// Snapshots that hold only what differs from another one, over which they lie:
//
//   layers/<a>: everything      layers/<b>: parent a, "over" = inode of layers/<a>
//
// Both trees together are the snapshot <b>. If there is another inode the parent was made again,
// and <b> is no hit any more: Snapshots::Find() removes it like any that is damaged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "store/data_root.h"
#include "store/snapshots.h"

namespace minibox::store {

// A result of SnapshotRecord, and only of differences. Their `parent` is what they lie over, which
// is collected after them.
inline constexpr char kOverResult[] = "over";

// The trees that a snapshot consists of: keys, bottom first, its own the last.
// kNotFound "snapshot_not_found" if it is not there as a whole.
StatusOr<std::vector<std::string>> TreesOf(const Snapshots& snapshots, std::string_view key);
// Of its tree, in the form of kOverResult.
StatusOr<std::string> InodeOf(const DataRoot& root, std::string_view key);

}  // namespace minibox::store
