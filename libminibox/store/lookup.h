// SPDX-License-Identifier: Apache-2.0
// Finding an image by what people call it (spec §3, image lookup).
#pragma once

#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "store/blob_store.h"

namespace minibox::store {

struct Found {
  oci::Descriptor entry;
  bool by_name = false;  // else by digest
};

// Reference first, then digest or unique prefix of a manifest or config. kNotFound
// "image_not_found", kFailedPrecondition "ambiguous_name", kInvalidArgument "invalid_reference".
// Several entries of one manifest are no ambiguity: the first is given.
StatusOr<Found> FindImage(const BlobStore& blobs, const std::vector<oci::Descriptor>& entries,
                          std::string_view name_or_id);

// The verified and parsed blobs of an image. kDataLoss if they are damaged or missing.
StatusOr<oci::Manifest> ReadManifest(const BlobStore& blobs, const Digest& digest);
StatusOr<oci::ImageConfig> ReadConfig(const BlobStore& blobs, const oci::Manifest& manifest);

}  // namespace minibox::store
