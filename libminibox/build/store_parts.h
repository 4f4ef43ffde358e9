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
  // Pulls an image under its own name; `platform` is "os/arch[/variant]" or empty, the lines are
  // those of a base (spec §8.8). Empty if there is no registry.
  std::function<Status(const ImageRef& image, std::string_view platform,
                       const std::function<void(std::string)>& log, std::stop_token)>
      pull{};
};

}  // namespace minibox::build
