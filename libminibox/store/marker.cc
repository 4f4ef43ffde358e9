// SPDX-License-Identifier: Apache-2.0
#include "store/marker.h"

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "store/layout.h"
#include "store/lookup.h"
#include "store/references.h"
#include "store/usage.h"

namespace minibox::store {
namespace {

constexpr size_t kMaxDocument = 4u << 20;
constexpr int kMaxIndexDepth = 4;
constexpr size_t kHexDigits = 64;

bool IsNameless(const oci::Descriptor& entry) { return NormalisedName(entry).empty(); }

}  // namespace

Marker::Marker(std::shared_ptr<DataRoot> root, bool snapshots_are_roots)
    : root_(root),
      blob_store_(root),
      layer_store_(root, blob_store_),
      leases_(root),
      snapshot_store_(root),
      snapshots_are_roots_(snapshots_are_roots) {}

Status Marker::MarkRoots() {
  MBX_ASSIGN_OR_RETURN(const LeaseItems leased, leases_.Read());
  for (const std::string& text : leased.blobs) {
    if (const auto digest = Digest::Parse(text); digest.ok()) MarkUnknown(*digest);
  }
  for (const std::string& text : leased.layers) {
    if (const auto digest = Digest::Parse(text); digest.ok()) layers_.emplace(digest->hex());
  }
  for (const std::string& key : leased.snapshots) MarkSnapshot(key);
  caches_.insert(leased.caches.begin(), leased.caches.end());

  MBX_ASSIGN_OR_RETURN(const auto pinned, PinnedManifests(*root_));
  for (const auto& [digest, containers] : pinned) {
    Status marked = MarkManifest(digest);
    if (!marked.ok()) {
      return marked.WithContext(core::StrCat("image of container ", containers.front()));
    }
  }

  MBX_ASSIGN_OR_RETURN(const auto entries, References(root_).List());
  useless_.clear();
  for (const oci::Descriptor& entry : entries) {
    if (IsNameless(entry) && !blobs_.contains(entry.digest.hex())) {
      useless_.push_back(entry);
    } else {
      MBX_RETURN_IF_ERROR(MarkEntry(entry));
    }
  }
  // One that is named shares them with a nameless entry of the same digest.
  std::erase_if(useless_,
                [&](const oci::Descriptor& entry) { return blobs_.contains(entry.digest.hex()); });

  if (!snapshots_are_roots_) return {};
  MBX_ASSIGN_OR_RETURN(const auto names, root_->dir().List(kLayers));
  for (const std::string& name : names) {
    if (name.size() == kHexDigits) MarkSnapshot(name);
  }
  return {};
}

Status Marker::MarkEntry(const oci::Descriptor& entry) {
  const std::string name = ShownName(entry);
  Status marked;
  if (oci::IsIndex(entry.media_type)) {
    marked = MarkIndex(entry.digest, 0);
  } else if (oci::IsManifest(entry.media_type)) {
    marked = MarkManifest(entry.digest);
  } else {
    MarkUnknown(entry.digest);
  }
  return marked.WithContext(core::StrCat("image ", name.empty() ? "without name" : name));
}

Status Marker::MarkManifest(const Digest& digest) {
  MarkBlob(digest);
  if (manifests_.contains(digest)) return {};
  const auto manifest = ReadManifest(blob_store_, digest);
  if (!manifest.ok()) return core::DataLoss(manifest.status().message());
  MarkBlob(manifest->config.digest);
  for (const oci::Descriptor& layer : manifest->layers) MarkBlob(layer.digest);
  const auto config = ReadConfig(blob_store_, *manifest);
  if (!config.ok()) return core::DataLoss(config.status().message());
  for (const Digest& diff_id : config->diff_ids) layers_.emplace(diff_id.hex());
  MBX_RETURN_IF_ERROR(MarkComputedLayers(*manifest, config->diff_ids));
  manifests_.insert(digest);
  return {};
}

Status Marker::MarkComputedLayers(const oci::Manifest& manifest,
                                  const std::vector<Digest>& diff_ids) {
  for (size_t i = 0; i < diff_ids.size() && i < manifest.layers.size(); ++i) {
    const Digest& blob = manifest.layers[i].digest;
    if (diff_ids[i] != blob || layer_store_.Exists(blob)) continue;
    const auto diff_id = layer_store_.ComputedDiffId(blob);
    if (!diff_id.ok()) return core::DataLoss(diff_id.status().message());
    layers_.emplace(diff_id->hex());
  }
  return {};
}

Status Marker::MarkIndex(const Digest& digest, int depth) {
  MarkBlob(digest);
  if (manifests_.contains(digest)) return {};
  if (depth > kMaxIndexDepth) return core::DataLoss("indexes are nested too deeply");
  const auto text = blob_store_.Read(digest, kMaxDocument);
  if (!text.ok()) return core::DataLoss(text.status().message());
  const auto index = oci::ParseIndex(*text);
  if (!index.ok()) return core::DataLoss(index.status().message());
  for (const oci::Descriptor& entry : index->manifests) {
    // An index need not have all that it names.
    if (!blob_store_.Exists(entry.digest)) continue;
    if (oci::IsIndex(entry.media_type)) {
      MBX_RETURN_IF_ERROR(MarkIndex(entry.digest, depth + 1));
    } else if (oci::IsManifest(entry.media_type)) {
      MBX_RETURN_IF_ERROR(MarkManifest(entry.digest));
    } else {
      MarkUnknown(entry.digest);
    }
  }
  manifests_.insert(digest);
  return {};
}

void Marker::MarkUnknown(const Digest& digest) {
  MarkBlob(digest);
  if (manifests_.contains(digest) || unknown_.contains(digest)) return;
  const auto size = blob_store_.Size(digest);
  // It may appear later, so that is no reason to remember it.
  if (!size.ok()) return;
  const auto text = *size <= kMaxDocument ? blob_store_.Read(digest, kMaxDocument)
                                          : StatusOr<std::string>(core::Internal("too large"));
  const bool document = text.ok() && text->starts_with('{');
  if (document && oci::ParseManifest(*text).ok()) {
    // What is being fetched need not be complete; the lease names the rest as well.
    const Status marked = MarkManifest(digest);
    if (!marked.ok()) core::LogDebug("store", core::StrCat(marked.message(), ", leased"));
  } else if (document && oci::ParseIndex(*text).ok()) {
    const Status marked = MarkIndex(digest, 0);
    if (!marked.ok()) core::LogDebug("store", core::StrCat(marked.message(), ", leased"));
  } else {
    unknown_.insert(digest);
  }
}

void Marker::MarkSnapshot(std::string key) {
  // Parents are marked to the first: a child without them is of no use.
  while (key.size() == kHexDigits && snapshots_.insert(key).second) {
    const auto record = snapshot_store_.Peek(key);
    if (!record.has_value()) return;
    for (const std::string& base : {record->base, record->ManifestResult()}) {
      if (const auto digest = Digest::Parse(base); digest.ok()) MarkUnknown(*digest);
    }
    key = record->parent;
  }
}

}  // namespace minibox::store
