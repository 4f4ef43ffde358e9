// SPDX-License-Identifier: Apache-2.0
// The parts of an open store, for the modules above it. Spec §6, §10, §11.
//
//   index.json ──names──> manifest blob ──> config blob, layer blobs ──> extracted/<diff_id>
//   layers/<key> + <key>.json: build snapshots        volumes/<name>: named volumes
//   leases/: what a running operation protects        tmp/<op>: prepared, then renamed
#pragma once

#include <filesystem>
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
#include "store/image_summaries.h"
#include "store/layer_store.h"
#include "store/leases.h"
#include "store/references.h"
#include "store/snapshots.h"
#include "store/volumes.h"

namespace minibox {
inline namespace v1 {

struct Store::Impl {
  explicit Impl(std::shared_ptr<store::DataRoot> data_root);

  std::shared_ptr<store::DataRoot> root;
  std::filesystem::path path;
  store::BlobStore blobs;
  store::References references;
  store::LayerStore layers;
  store::Leases leases;
  store::Snapshots snapshots;
  store::Volumes volumes;
  mutable store::ImageSummaries summaries;

  // Manifest and config of an image, by reference, digest or prefix. info.in_use is not looked up.
  struct Image {
    ImageInfo info;
    oci::Manifest manifest;
    oci::ImageConfig config;
  };
  StatusOr<Image> Resolve(std::string_view name_or_id) const;
  // The same, held by a new lease: all its blobs are there and stay. Without one an image may be
  // removed and collected as soon as it was found.
  struct Leased;
  StatusOr<Leased> ResolveLeased(std::string_view name_or_id, std::string_view operation) const;
  // Of a container's pinned image, which need not be in the index any more.
  StatusOr<Image> ResolveManifest(const Digest& manifest) const;
  // Of an index entry.
  StatusOr<Image> Describe(const oci::Descriptor& entry) const;
  // The info of the same, which is remembered; `blob_dir` is blobs/sha256.
  StatusOr<ImageInfo> Summarise(const core::RootDir& blob_dir, const oci::Descriptor& entry) const;
  // Unpacked layers of the image, relative to the data root ("extracted/<hex>"), bottom first;
  // unpacks what is missing. A layer that occurs twice is listed once, at its upper place.
  StatusOr<std::vector<std::string>> EnsureLayers(const Image& image, std::stop_token stop = {});
};

struct Store::Impl::Leased {
  Image image;
  store::Lease lease;
};

}  // namespace v1
}  // namespace minibox
