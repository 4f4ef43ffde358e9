// SPDX-License-Identifier: Apache-2.0
#include "store/store_impl.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "core/clock.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread_pool.h"
#include "oci/media_types.h"
#include "store/lookup.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr unsigned kMaxUnpackers = 4;
constexpr int kMaxAttempts = 10;

// Each blob once, as on disk.
uint64_t StoredSize(uint64_t manifest_size, const oci::Manifest& manifest) {
  std::set<Digest> counted{manifest.config.digest};
  uint64_t size = manifest_size + manifest.config.size;
  for (const oci::Descriptor& layer : manifest.layers) {
    if (counted.insert(layer.digest).second) size += layer.size;
  }
  return size;
}

}  // namespace

Store::Impl::Impl(std::shared_ptr<store::DataRoot> data_root)
    : root(std::move(data_root)),
      path(root->path()),
      blobs(root),
      references(root),
      layers(root, blobs),
      leases(root),
      snapshots(root),
      volumes(root) {}

StatusOr<Store::Impl::Image> Store::Impl::Resolve(std::string_view name_or_id) const {
  MBX_ASSIGN_OR_RETURN(const std::vector<oci::Descriptor> entries, references.List());
  MBX_ASSIGN_OR_RETURN(const store::Found found, store::FindImage(blobs, entries, name_or_id));
  return Describe(found.entry);
}

StatusOr<Store::Impl::Leased> Store::Impl::ResolveLeased(std::string_view name_or_id,
                                                         std::string_view operation) const {
  for (int attempt = 1;; ++attempt) {
    auto image = Resolve(name_or_id);
    if (image.ok()) {
      store::LeaseItems items;
      items.Blob(image->info.manifest).Blob(image->manifest.config.digest);
      for (const oci::Descriptor& layer : image->manifest.layers) items.Blob(layer.digest);
      for (const Digest& diff_id : image->config.diff_ids) items.Layer(diff_id);
      MBX_ASSIGN_OR_RETURN(store::Lease lease, leases.Acquire(operation, items));
      const bool complete =
          blobs.Exists(image->info.manifest) && blobs.Exists(image->manifest.config.digest) &&
          std::all_of(image->manifest.layers.begin(), image->manifest.layers.end(),
                      [&](const oci::Descriptor& layer) { return blobs.Exists(layer.digest); });
      if (complete) return Leased{*std::move(image), std::move(lease)};
      image = core::DataLoss(core::StrCat("image ", image->info.manifest.ToString(),
                                          " is incomplete: a layer is missing"));
    }
    // It may have been removed, or given to another image, since the index was read.
    const bool gone = image.status().code() == StatusCode::kDataLoss ||
                      image.status().reason() == "blob_not_found";
    if (!gone || attempt == kMaxAttempts) return image.status();
  }
}

StatusOr<Store::Impl::Image> Store::Impl::ResolveManifest(const Digest& manifest) const {
  oci::Descriptor entry{.media_type = std::string(oci::kOciManifest), .digest = manifest};
  // For its name only.
  const auto entries = references.List();
  if (entries.ok()) {
    const auto found = std::find_if(entries->begin(), entries->end(),
                                    [&](const auto& e) { return e.digest == manifest; });
    if (found != entries->end()) entry = *found;
  }
  return Describe(entry);
}

StatusOr<Store::Impl::Image> Store::Impl::Describe(const oci::Descriptor& entry) const {
  if (!oci::IsManifest(entry.media_type)) {
    return core::Error(StatusCode::kUnimplemented, "",
                       core::StrCat(entry.digest.ToString(), " is no image manifest but '",
                                    core::EscapeControl(entry.media_type), "'"));
  }
  MBX_ASSIGN_OR_RETURN(oci::Manifest manifest, store::ReadManifest(blobs, entry.digest));
  MBX_ASSIGN_OR_RETURN(oci::ImageConfig config, store::ReadConfig(blobs, manifest));
  uint64_t manifest_size = entry.size;
  if (manifest_size == 0) {
    MBX_ASSIGN_OR_RETURN(manifest_size, blobs.Size(entry.digest));
  }
  ImageInfo info{.id = manifest.config.digest, .manifest = entry.digest};
  info.name = store::ShownName(entry);
  info.reference = store::NormalisedName(entry);
  info.size = StoredSize(manifest_size, manifest);
  // Tools leave it out or write what is no time; it is for people only.
  if (const auto created = core::ParseTime(config.created); created.ok()) info.created = *created;
  info.platform = config.platform;
  info.labels = config.labels;
  return Store::Impl::Image{std::move(info), std::move(manifest), std::move(config)};
}

StatusOr<ImageInfo> Store::Impl::Summarise(const core::RootDir& blob_dir,
                                           const oci::Descriptor& entry) const {
  if (auto known = summaries.Find(blob_dir, entry)) {
    known->name = store::ShownName(entry);
    known->reference = store::NormalisedName(entry);
    return *std::move(known);
  }
  const auto stamp = store::StampOf(blob_dir, entry.digest);
  MBX_ASSIGN_OR_RETURN(Image image, Describe(entry));
  if (stamp) summaries.Remember(blob_dir, entry, *stamp, image.info);
  return std::move(image.info);
}

StatusOr<std::vector<std::string>> Store::Impl::EnsureLayers(const Image& image,
                                                             std::stop_token stop) {
  const std::vector<oci::Descriptor>& blob_list = image.manifest.layers;
  const std::vector<Digest>& diff_ids = image.config.diff_ids;
  if (blob_list.size() != diff_ids.size()) {
    return core::DataLoss(core::StrCat("image ", image.info.manifest.ToString(), " has ",
                                       blob_list.size(), " layers but ", diff_ids.size(),
                                       " diff ids"));
  }
  std::vector<std::optional<StatusOr<Digest>>> results(blob_list.size());
  std::vector<size_t> missing;
  for (size_t i = 0; i < blob_list.size(); ++i) {
    if (layers.Exists(diff_ids[i])) {
      results[i] = diff_ids[i];
    } else {
      missing.push_back(i);
    }
  }
  const auto unpack = [&](size_t i) {
    results[i] = layers.EnsureUnpacked(blob_list[i].digest, diff_ids[i], stop);
  };
  if (missing.size() == 1) {
    unpack(missing[0]);
  } else if (!missing.empty()) {
    const unsigned cpus = std::clamp(std::thread::hardware_concurrency(), 1u, kMaxUnpackers);
    core::ThreadPool pool(static_cast<int>(std::min<size_t>(missing.size(), cpus)));
    for (const size_t i : missing) pool.Submit([&unpack, i] { unpack(i); });
  }
  for (const auto& result : results) {
    if (!result->ok()) return result->status();
  }
  // Overlay refuses a directory that is given twice, and only the upper one shows.
  std::vector<std::string> paths;
  std::set<Digest> listed;
  for (auto result = results.rbegin(); result != results.rend(); ++result) {
    const Digest& diff_id = ***result;
    if (listed.insert(diff_id).second) paths.push_back(store::LayerStore::Path(diff_id));
  }
  std::reverse(paths.begin(), paths.end());
  return paths;
}

}  // namespace v1
}  // namespace minibox
