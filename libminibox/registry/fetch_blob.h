// SPDX-License-Identifier: Apache-2.0
// The bytes of one blob, from wherever they are to be had, into its partial file.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>

#include "minibox/status.h"
#include "oci/manifest.h"
#include "registry/sources.h"
#include "store/partial_blobs.h"

namespace minibox::registry {

struct BlobWatcher {
  std::function<void(uint64_t size)> grown{};  // bytes on disk
  RetryingFn retrying{};
};

// Goes on after the bytes that `blob` has, until it has as many as the descriptor says; what they
// are is for PartialBlob::Commit to check. kDataLoss if what comes cannot be right; kAborted if
// what was there was of no use: `blob` is empty then, and whoever reads along has to begin anew.
Status FetchBlob(const Sources& sources, const oci::Descriptor& descriptor,
                 store::PartialBlob& blob, const BlobWatcher& watcher, const std::stop_token& stop);

}  // namespace minibox::registry
