// SPDX-License-Identifier: Apache-2.0
// One blob of an image into the store, a layer unpacked while it downloads.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>

#include "minibox/status.h"
#include "oci/manifest.h"
#include "registry/fetch_blob.h"
#include "registry/store_parts.h"

namespace minibox::registry {

struct BlobJob {
  oci::Descriptor descriptor;
  std::optional<Digest> diff_id{};  // of a layer
  // An image in the store has the same layer: that the blob unpacks to the diff_id was checked.
  bool known_pair = false;
};

struct BlobJobEvents {
  std::function<void(bool exists)> begun{};  // it is known whether it has to be fetched
  std::function<void(Progress::Phase phase, uint64_t done)> progress{};
  RetryingFn retrying{};
};

// When it returns OK, the blob is in the store and, of a layer, the tree too. Each digest is
// fetched once at a time in all processes; whoever waited finds it there. What the caller needs
// leased is leased.
Status FetchIntoStore(const BlobJob& job, const StoreParts& store, const Sources& sources,
                      const BlobJobEvents& events, const std::stop_token& stop);

}  // namespace minibox::registry
