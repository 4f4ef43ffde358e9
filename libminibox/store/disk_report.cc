// SPDX-License-Identifier: Apache-2.0
// Store::GetDiskUsage (spec §5.10).
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/json.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/disk_usage.h"
#include "store/layout.h"
#include "store/lookup.h"
#include "store/marker.h"
#include "store/store_impl.h"
#include "store/usage.h"

namespace minibox {
inline namespace v1 {
namespace {

class Report {
 public:
  Report(std::shared_ptr<store::DataRoot> root, bool items)
      : root_(root), blobs_(root), items_(items), marker_(root, /*snapshots_are_roots=*/true) {}

  StatusOr<DiskUsageReport> Run() {
    MBX_RETURN_IF_ERROR(marker_.MarkRoots());
    MBX_RETURN_IF_ERROR(AddImages());
    MBX_RETURN_IF_ERROR(AddEach(store::kExtracted, report_.layers,
                                [&](const std::string& name) { return !marker_.HasLayer(name); }));
    MBX_RETURN_IF_ERROR(AddContainers());
    MBX_RETURN_IF_ERROR(AddVolumes());
    MBX_RETURN_IF_ERROR(AddCache());
    return std::move(report_);
  }

 private:
  const core::RootDir& dir() const { return root_->dir(); }

  void Add(Usage& usage, std::string id, uint64_t size, bool reclaimable) const {
    ++usage.count;
    usage.size += size;
    if (reclaimable) usage.reclaimable += size;
    if (items_) usage.items.push_back({std::move(id), size, reclaimable});
  }

  template <typename Reclaimable>
  Status AddEach(std::string_view directory, Usage& usage, const Reclaimable& reclaimable) {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(directory));
    store::DiskUsage disk;
    for (const std::string& name : names) {
      const std::string path = core::StrCat(directory, "/", name);
      const auto st = dir().LStat(path);
      if (!st.ok() || !S_ISDIR(st->st_mode) || name.starts_with('.')) continue;
      Add(usage, name, disk.Add(dir(), path), reclaimable(name));
    }
    return {};
  }

  // All blobs are counted; an item is an image, of which a shared blob counts for the first.
  Status AddImages() {
    MBX_ASSIGN_OR_RETURN(const auto names, dir().List(store::kBlobs256));
    std::map<std::string, uint64_t> sizes;
    Usage& usage = report_.images;
    for (const std::string& name : names) {
      const uint64_t size =
          store::DiskUsage().Add(dir(), core::StrCat(store::kBlobs256, "/", name));
      sizes[name] = size;
      usage.size += size;
      if (!marker_.HasBlob(name)) usage.reclaimable += size;
    }
    MBX_ASSIGN_OR_RETURN(const auto entries, store::References(root_).List());
    const auto take = [&](const Digest& digest) {
      const auto found = sizes.find(std::string(digest.hex()));
      return found == sizes.end() ? 0 : std::exchange(found->second, 0);
    };
    std::set<Digest> counted;
    for (const oci::Descriptor& entry : entries) {
      if (!counted.insert(entry.digest).second) continue;
      ++usage.count;
      if (!items_) continue;
      uint64_t size = take(entry.digest);
      if (const auto manifest = store::ReadManifest(blobs_, entry.digest); manifest.ok()) {
        size += take(manifest->config.digest);
        for (const oci::Descriptor& layer : manifest->layers) size += take(layer.digest);
      }
      const std::string name = store::ShownName(entry);
      usage.items.push_back({name.empty() ? entry.digest.ToString() : name, size,
                             !marker_.HasBlob(entry.digest.hex())});
    }
    return {};
  }

  static bool IsStopped(const std::string& status) {
    return status == "created" || status == "exited";
  }

  // The writable part and the records; logs are a kind of their own.
  Status AddContainers() {
    MBX_ASSIGN_OR_RETURN(const auto ids, dir().List(store::kContainers));
    for (const std::string& id : ids) {
      const std::string path = core::StrCat(store::kContainers, "/", id);
      const auto st = dir().LStat(path);
      if (id.starts_with('.') || !st.ok() || !S_ISDIR(st->st_mode)) continue;
      const bool stopped = IsStopped(store::ContainerStatus(*root_, id));
      store::DiskUsage disk;
      uint64_t log_size = 0;
      const auto files = dir().List(path);
      for (const std::string& file : files.ok() ? *files : std::vector<std::string>()) {
        const std::string full = core::StrCat(path, "/", file);
        if (!file.starts_with("container.log")) {
          disk.Add(dir(), full);
        } else {
          log_size += store::DiskUsage().Add(dir(), full);
        }
      }
      Add(report_.containers, id, disk.total(), stopped);
      if (log_size > 0) Add(report_.logs, id, log_size, stopped);
    }
    return {};
  }

  Status AddVolumes() {
    MBX_ASSIGN_OR_RETURN(const auto volumes, store::Volumes(root_).List());
    store::DiskUsage disk;
    for (const VolumeInfo& volume : volumes) {
      const uint64_t size = disk.Add(dir(), core::StrCat(store::kVolumes, "/", volume.name));
      Add(report_.volumes, volume.name, size, volume.anonymous && volume.containers.empty());
    }
    return {};
  }

  Status AddCache() {
    store::Marker in_use(root_, /*snapshots_are_roots=*/false);
    MBX_RETURN_IF_ERROR(in_use.MarkRoots());
    MBX_RETURN_IF_ERROR(AddEach(store::kLayers, report_.build_cache, [&](const std::string& name) {
      return !in_use.HasSnapshot(name);
    }));
    return AddEach(store::kCache, report_.build_cache,
                   [&](const std::string& name) { return !in_use.HasCache(name); });
  }

  const std::shared_ptr<store::DataRoot> root_;
  const store::BlobStore blobs_;
  const bool items_;
  store::Marker marker_;
  DiskUsageReport report_;
};

}  // namespace

StatusOr<DiskUsageReport> Store::GetDiskUsage(bool items) const {
  return Report(impl_->root, items).Run();
}

}  // namespace v1
}  // namespace minibox
