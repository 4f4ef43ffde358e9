// SPDX-License-Identifier: Apache-2.0
#include "minibox/store.h"

#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/partial_blobs.h"
#include "store/store_impl.h"
#include "store/usage.h"

namespace minibox {
inline namespace v1 {

Store::Store(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<Store> Store::Open(const StoreOptions& options) {
  MBX_ASSIGN_OR_RETURN(std::shared_ptr<store::DataRoot> root,
                       store::DataRoot::Open(options.root.native(), options.create_if_missing));
  auto impl = std::make_shared<Impl>(std::move(root));
  // What is left over is in nobody's way.
  const store::PartialBlobs partial(impl->root);
  for (const Status& swept : {impl->root->SweepTemporary().status(), impl->leases.Sweep().status(),
                              partial.Sweep().status()}) {
    if (!swept.ok()) {
      core::LogWarning("store", core::StrCat("sweep: ", swept.message(), ", ignoring"));
    }
  }
  return Store(std::move(impl));
}

const std::filesystem::path& Store::root() const { return impl_->path; }

StatusOr<VolumeInfo> Store::CreateVolume(std::string_view name, const Labels& labels) {
  return impl_->volumes.Create(name, labels);
}

StatusOr<VolumeInfo> Store::InspectVolume(std::string_view name) const {
  return impl_->volumes.Inspect(name);
}

StatusOr<std::vector<VolumeInfo>> Store::ListVolumes() const { return impl_->volumes.List(); }

StatusOr<PruneVolumesReport> Store::PruneVolumes(const PruneVolumesOptions& options) {
  return impl_->volumes.Prune(options);
}

Status Store::RemoveVolume(std::string_view name) {
  MBX_RETURN_IF_ERROR(impl_->volumes.Inspect(name).status());
  // That a container made it itself, which lets the container's removal take it along, is no
  // reason here.
  MBX_ASSIGN_OR_RETURN(const store::VolumeUsers users, store::FindVolumeUsers(*impl_->root, name));
  if (!users.owners.empty()) return store::VolumeInUse(name, users.owners);
  return impl_->volumes.Remove(name);
}

}  // namespace v1
}  // namespace minibox
