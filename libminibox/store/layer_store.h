// SPDX-License-Identifier: Apache-2.0
// extracted/<diff_id hex>: unpacked layers. A directory under that name is complete.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "archive/compression.h"
#include "minibox/status.h"
#include "minibox/types.h"
#include "store/blob_store.h"
#include "store/data_root.h"

namespace minibox::store {

// What a manifest calls a layer that is compressed so.
std::string_view LayerMediaType(archive::Compression compression);

class LayerStore {
 public:
  LayerStore(std::shared_ptr<DataRoot> root, BlobStore blobs)
      : root_(std::move(root)), blobs_(std::move(blobs)) {}
  bool Exists(const Digest& diff_id) const;
  // "extracted/<hex>"
  static std::string Path(const Digest& diff_id);
  // Unpacks the blob unless the tree exists; concurrent callers, also in other processes,
  // wait for one unpacking. Checks the diff_id (kDataLoss); a diff_id equal to `blob` is
  // accepted as in spec §11.1. Returns the diff_id that names the tree.
  StatusOr<Digest> EnsureUnpacked(const Digest& blob, const Digest& diff_id,
                                  std::stop_token stop = {}) const;
  // Of the uncompressed tar; without unpacking it.
  StatusOr<Digest> ComputedDiffId(const Digest& blob, std::stop_token stop = {}) const;
  // Publishes a finished tree (a directory in an operation of this store) under its diff_id;
  // if there is one already, `tree` is left for the operation to remove. Syncs first.
  Status Publish(const Digest& diff_id, const OperationDir& operation, std::string_view tree) const;
  // The same for all trees of an operation whose files have been synced: nothing is waited for but
  // the directory that gets them.
  struct FinishedTree {
    Digest diff_id;
    std::string tree{};
  };
  Status PublishSynced(const std::vector<FinishedTree>& trees, const OperationDir& operation) const;

 private:
  std::shared_ptr<DataRoot> root_;
  BlobStore blobs_;
};

}  // namespace minibox::store
