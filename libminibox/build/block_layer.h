// SPDX-License-Identifier: Apache-2.0
// The layer of a block: its snapshots merged, archived and compressed (spec §8.6). Like every
// other layer it is unpacked when it is first needed: snapshots cannot be given to containers as
// files under a second name, since those would show in their link counts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "archive/compression.h"
#include "build/layer_stack.h"
#include "build/store_parts.h"
#include "minibox/status.h"

namespace minibox::build {

struct Layer {
  Digest diff_id, blob;
  uint64_t size = 0;  // of the blob
  archive::Compression compression = archive::Compression::kGzip;
};

struct LayerRequest {
  std::vector<std::string> snapshots{};  // keys, bottom first, without empty ones
  LayerStack below{};                    // what lies under the block
  // "block" or "step": a snapshot may end both a block and one layer of a linear file.
  std::string kind = "block";
  archive::Compression compression = archive::Compression::kGzip;
  int64_t epoch = 0;
};

// In two steps, so that the number of layers is known before the long one. Used by one thread.
class LayerMaker {
 public:
  LayerMaker(const StoreParts& store, const SharedDirs& shared, store::Lease& lease,
             LayerRequest request)
      : store_(store), shared_(shared), lease_(lease), request_(std::move(request)) {}

  // Finds the layer among the results of earlier builds, or merges the snapshots. A single one is
  // the layer as it is.
  Status Prepare(std::stop_token stop);
  // After Prepare: the block changed nothing.
  bool empty() const { return empty_; }
  // Archives what has been merged.
  StatusOr<Layer> Make(std::stop_token stop);

 private:
  Status FindResult();
  std::string ResultName() const;
  StatusOr<core::RootDir> OpenTree() const;
  StatusOr<Layer> Archive(std::stop_token stop);
  Status Record(const Layer* layer);

  const StoreParts& store_;
  const SharedDirs& shared_;
  store::Lease& lease_;
  LayerRequest request_;
  bool empty_ = false;
  std::optional<Layer> known_;
  std::optional<store::OperationDir> operation_;  // with the merged tree, of several snapshots
};

}  // namespace minibox::build
