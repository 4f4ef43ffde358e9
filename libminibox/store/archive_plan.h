// SPDX-License-Identifier: Apache-2.0
// Which images an archive holds: the three forms of spec §10.1 read into one.
#pragma once

#include <string>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "store/staged_archive.h"

namespace minibox::store {

struct PlannedImage {
  std::vector<ImageRef> names{};  // empty: nameless
  std::string manifest_bytes{};
  oci::Descriptor descriptor;  // of the manifest; no annotations
  oci::Manifest manifest;
  oci::ImageConfig config{};
  // Pointers into the StagedArchive. Sizes and digests are those that the manifest says; that a
  // layer unpacks to its diff_id is not checked yet.
  const StagedFile* config_file = nullptr;
  std::vector<const StagedFile*> layer_files{};
  // The manifest is in the archive; else it was made from a docker-archive's table.
  const StagedFile* manifest_file = nullptr;
};

// At least one image, or kInvalidArgument "invalid_archive". Of several platforms `platform` is
// taken, a single one whatever it is.
StatusOr<std::vector<PlannedImage>> PlanArchive(const StagedArchive& archive,
                                                const Platform& platform);

}  // namespace minibox::store
