// SPDX-License-Identifier: Apache-2.0
#include "build/export.h"

#include <chrono>
#include <utility>

#include "core/clock.h"
#include "core/status_macros.h"
#include "oci/digest.h"
#include "oci/media_types.h"

namespace minibox::build {

oci::ImageConfig CompleteConfig(const ImageParts& parts) {
  oci::ImageConfig config = parts.config;
  config.created = core::FormatTime(TimePoint(std::chrono::seconds(parts.epoch)));
  config.platform = parts.base->config.platform;
  config.diff_ids = parts.base->config.diff_ids;
  for (const auto& layer : parts.layers) config.diff_ids.push_back(layer.diff_id);
  config.history = parts.base->config.history;
  for (const auto& line : parts.history) {
    config.history.push_back({.created = config.created,
                              .created_by = line.created_by,
                              .empty_layer = line.empty_layer});
  }
  for (const auto& [key, value] : parts.labels) config.labels[key] = value;
  return config;
}

StatusOr<oci::Descriptor> ExportImage(const ImageParts& parts, const StoreParts& store,
                                      store::Lease& lease, const std::vector<ImageRef>& names) {
  const oci::ImageConfig config = CompleteConfig(parts);
  const std::string config_json = oci::SerializeImageConfig(config);
  const Digest config_digest = oci::DigestOf(config_json);
  MBX_RETURN_IF_ERROR(lease.AddBlob(config_digest));
  MBX_RETURN_IF_ERROR(store.blobs.Put(config_json).status());

  oci::Manifest manifest{.config = {.media_type = std::string(oci::kOciConfig),
                                    .digest = config_digest,
                                    .size = config_json.size()},
                         .layers = parts.base->layers};
  for (const auto& layer : parts.layers) {
    const std::string_view type =
        layer.compression == archive::Compression::kZstd ? oci::kOciLayerZstd : oci::kOciLayerGzip;
    manifest.layers.push_back(
        {.media_type = std::string(type), .digest = layer.blob, .size = layer.size});
  }
  const std::string manifest_json = oci::SerializeManifest(manifest);
  const Digest manifest_digest = oci::DigestOf(manifest_json);
  MBX_RETURN_IF_ERROR(lease.AddBlob(manifest_digest));
  MBX_RETURN_IF_ERROR(store.blobs.Put(manifest_json).status());

  oci::Descriptor descriptor{.media_type = std::string(oci::kOciManifest),
                             .digest = manifest_digest,
                             .size = manifest_json.size(),
                             .platform = config.platform};
  MBX_RETURN_IF_ERROR(store.references.Register(descriptor, names));
  return descriptor;
}

StatusOr<oci::Descriptor> ExportBase(const Base& base, const StoreParts& store,
                                     const std::vector<ImageRef>& names) {
  MBX_RETURN_IF_ERROR(store.references.Register(*base.manifest, names));
  return *base.manifest;
}

}  // namespace minibox::build
