// SPDX-License-Identifier: Apache-2.0
// What transfers use of an open store. Store::Impl can be named by its friends only; Registry's own
// Impl, one of them, fills this in.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "minibox/store.h"
#include "oci/manifest.h"
#include "store/blob_store.h"
#include "store/data_root.h"
#include "store/layer_store.h"
#include "store/leases.h"
#include "store/partial_blobs.h"
#include "store/references.h"

namespace minibox::registry {

struct StoreParts {
  std::shared_ptr<store::DataRoot> root;
  store::BlobStore blobs;
  store::References references;
  store::LayerStore layers;
  store::Leases leases;
  store::PartialBlobs partial;
  // Store::Impl's.
  std::function<StatusOr<ImageInfo>(const oci::Descriptor& entry)> describe{};
};

}  // namespace minibox::registry
