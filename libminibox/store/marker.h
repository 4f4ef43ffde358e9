// SPDX-License-Identifier: Apache-2.0
// What of the store is needed, and by what (spec §10.2).
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/status.h"
#include "minibox/types.h"
#include "oci/manifest.h"
#include "store/blob_store.h"
#include "store/data_root.h"
#include "store/layer_store.h"
#include "store/leases.h"
#include "store/snapshots.h"

namespace minibox::store {

// The marks only grow: MarkRoots() may be called again for what has changed since. Anything
// unreadable that may refer to something else is kDataLoss: then nothing may be collected.
class Marker {
 public:
  // With `snapshots_are_roots` the build cache is needed too; else only what leases hold of it.
  Marker(std::shared_ptr<DataRoot> root, bool snapshots_are_roots);

  // Leases first, then containers, then the index, then the build cache: who gives up the one
  // has the next by then.
  Status MarkRoots();
  // Its parents and its base too.
  void KeepSnapshot(const std::string& key) { MarkSnapshot(key); }

  bool HasBlob(std::string_view hex) const { return blobs_.contains(hex); }
  bool HasLayer(std::string_view hex) const { return layers_.contains(hex); }
  bool HasSnapshot(std::string_view key) const { return snapshots_.contains(key); }
  bool HasCache(std::string_view id) const { return caches_.contains(id); }

  // Nameless entries of the index that neither a container nor a lease needs.
  const std::vector<oci::Descriptor>& useless_entries() const { return useless_; }

 private:
  Status MarkEntry(const oci::Descriptor& entry);
  Status MarkManifest(const Digest& digest);
  // Trees that the configuration does not name: see LayerStore::EnsureUnpacked.
  Status MarkComputedLayers(const oci::Manifest& manifest, const std::vector<Digest>& diff_ids);
  Status MarkIndex(const Digest& digest, int depth);
  // Of a blob that may be anything, and need not be there.
  void MarkUnknown(const Digest& digest);
  void MarkSnapshot(std::string key);
  void MarkBlob(const Digest& digest) { blobs_.emplace(digest.hex()); }

  std::shared_ptr<DataRoot> root_;
  const BlobStore blob_store_;
  const LayerStore layer_store_;
  const Leases leases_;
  const Snapshots snapshot_store_;
  const bool snapshots_are_roots_;
  std::set<std::string, std::less<>> blobs_, layers_;  // hex
  std::set<std::string, std::less<>> snapshots_, caches_;
  std::set<Digest> manifests_, unknown_;  // what was followed already
  std::vector<oci::Descriptor> useless_;
};

}  // namespace minibox::store
