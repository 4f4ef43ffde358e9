// SPDX-License-Identifier: Apache-2.0
// volumes/<name> and its record volumes/.meta/<name>.json.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/fd.h"
#include "minibox/store.h"
#include "store/data_root.h"
#include "store/leases.h"

namespace minibox::store {

class Volumes {
 public:
  explicit Volumes(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // One that exists is returned as it is. An empty name makes an anonymous one. With `lease` it
  // is added to that first, so that no prune comes before its user is known.
  StatusOr<VolumeInfo> Create(std::string_view name, const Labels& labels,
                              Lease* lease = nullptr) const;
  StatusOr<VolumeInfo> Inspect(std::string_view name) const;
  StatusOr<std::vector<VolumeInfo>> List() const;
  // kNotFound "volume_not_found"; kFailedPrecondition "volume_in_use" while a container refers
  // to it, other than one whose own anonymous volume it is: that is for the container's removal.
  Status Remove(std::string_view name) const;
  // Those that neither a container nor a lease refers to.
  StatusOr<PruneVolumesReport> Prune(const PruneVolumesOptions& options) const;
  StatusOr<core::Fd> Open(std::string_view name) const;  // O_PATH directory

 private:
  std::shared_ptr<DataRoot> root_;
};

// "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}" (spec §3).
bool IsValidVolumeName(std::string_view name);
// The error that names who uses it.
Status VolumeInUse(std::string_view name, const std::vector<std::string>& containers);

}  // namespace minibox::store
