// SPDX-License-Identifier: Apache-2.0
// What builds use of an open store. Store::Impl can be named by its friends only; the builder's
// own Impl, one of them, fills this in.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/store.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "store/blob_store.h"
#include "store/data_root.h"
#include "store/layer_store.h"
#include "store/leases.h"
#include "store/references.h"
#include "store/snapshots.h"

namespace minibox::build {

struct StoredImage {
  ImageInfo info;
  oci::Manifest manifest;
  oci::ImageConfig config{};
};

struct StoreParts {
  Store store;
  std::shared_ptr<store::DataRoot> root;
  store::BlobStore blobs;
  store::References references;
  store::LayerStore layers;
  store::Leases leases;
  store::Snapshots snapshots;
  // Store::Impl's functions of these names.
  std::function<StatusOr<StoredImage>(std::string_view name)> resolve{};
  std::function<StatusOr<StoredImage>(const Digest& manifest)> resolve_manifest{};
  std::function<StatusOr<std::vector<std::string>>(const StoredImage&, std::stop_token)>
      ensure_layers{};
};

}  // namespace minibox::build
