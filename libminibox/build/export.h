// SPDX-License-Identifier: Apache-2.0
// Configuration, manifest and names of the image (spec §8.6).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "build/base.h"
#include "build/block_layer.h"
#include "build/store_parts.h"
#include "minibox/status.h"

namespace minibox::build {

// One entry of the history that this build adds.
struct HistoryLine {
  std::string created_by{};
  bool empty_layer = true;
};

struct ImageParts {
  const Base* base = nullptr;
  oci::ImageConfig config{};    // of the image, without rootfs and history
  std::vector<Layer> layers{};  // new ones, bottom first
  std::vector<HistoryLine> history{};
  Labels labels{};  // of the request
  int64_t epoch = 0;
};

// The configuration with everything filled in. Pure.
oci::ImageConfig CompleteConfig(const ImageParts& parts);

// Writes configuration and manifest and registers the names, in one step and last.
StatusOr<oci::Descriptor> ExportImage(const ImageParts& parts, const StoreParts& store,
                                      store::Lease& lease, const std::vector<ImageRef>& names);
// The base's own manifest under further names: the file changes nothing.
StatusOr<oci::Descriptor> ExportBase(const Base& base, const StoreParts& store,
                                     const std::vector<ImageRef>& names);

}  // namespace minibox::build
