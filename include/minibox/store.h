// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/status.h"
#include "minibox/types.h"

namespace minibox {
inline namespace v1 {

struct StoreOptions {
  // The data root (spec §6): an OCI image layout plus MiniBox's own folders.
  std::filesystem::path root = "/var/lib/minibox";
  bool create_if_missing = true;
};

// One named (or nameless) image. Sizes in bytes.
struct ImageInfo {
  std::string name{};       // shown name; empty: nameless
  std::string reference{};  // normalised reference; empty: nameless
  Digest id;                // digest of the image config
  Digest manifest;          // digest of the manifest
  uint64_t size = 0;        // manifest + config + layers as stored
  TimePoint created{};
  Platform platform{};
  Labels labels{};
  bool in_use = false;  // a container is pinned to the manifest
};

// One layer of an image, as the manifest lists it.
struct ImageLayer {
  Digest digest;   // of the blob
  Digest diff_id;  // of the uncompressed tar
  uint64_t size = 0;
  std::string media_type{};
};

struct ImageDetails {
  ImageInfo info;
  std::string config_json{}, manifest_json{};  // byte for byte as stored
  std::vector<ImageLayer> layers{};            // bottom first
  std::vector<std::string> containers{};       // ids of those pinned to it, sorted
};

// A step of an image's making.
struct ImageHistory {
  std::string created{};  // RFC 3339, as in the configuration; may be empty
  std::string created_by{}, comment{};
  uint64_t size = 0;     // of the layer's blob
  std::string digest{};  // of the layer's blob; empty without one
  bool empty_layer = false;
};

enum class ArchiveCompression { kNone, kGzip, kZstd };

struct SaveOptions {
  ArchiveCompression compression = ArchiveCompression::kNone;
};

struct ImportOptions {
  std::string image{};    // the name it gets; required
  std::string message{};  // comment in the history
};

struct RemoveImageOptions {
  bool force = false;  // also when containers use it, or a digest has several names
};

struct VolumeInfo {
  std::string name{};
  std::string path{};  // absolute host path of the content
  TimePoint created{};
  bool anonymous = false;
  Labels labels{};
  std::vector<std::string> containers{};  // ids of those that refer to it, sorted
  std::optional<uint64_t> size{};         // allocated bytes; InspectVolume() only
};

struct PruneVolumesOptions {
  bool all = false;      // named ones too
  bool dry_run = false;  // the same report, nothing removed
};
struct PruneVolumesReport {
  std::vector<std::string> removed{};
  uint64_t bytes_freed = 0;  // allocated
};

struct PruneOptions {
  bool build_cache = false;  // results of build instructions and cache mounts too
  // With build_cache: only the least recently used, until what stays takes at most that.
  std::optional<uint64_t> keep_bytes{};
  bool dry_run = false;  // the same report, nothing removed
};

// Bytes are allocated disk space of whole trees, hard links once.
struct PruneReport {
  uint64_t blobs_removed = 0;        // and stray files among them, and nameless index entries
  uint64_t layers_removed = 0;       // unpacked ones
  uint64_t build_cache_removed = 0;  // snapshots and cache mounts
  uint64_t temp_removed = 0;         // what died with its owner, or older versions left
  uint64_t bytes_freed = 0;          // of everything, the build cache included
  uint64_t build_cache_bytes_freed = 0;
  bool dry_run = false;
};

// One kind of what takes space.
struct UsageItem {
  std::string id{};  // digest, name, container id, cache key
  uint64_t size = 0;
  bool reclaimable = false;
};
struct Usage {
  uint64_t count = 0;
  uint64_t size = 0;               // allocated bytes
  uint64_t reclaimable = 0;        // of them, what the prune of this kind would free
  std::vector<UsageItem> items{};  // if they were asked for
};
struct DiskUsageReport {
  Usage images, layers, containers, volumes, build_cache, logs;
};

// One thing that Verify() found wrong.
struct StoreProblem {
  std::string object{};   // "blob sha256:…", "image alpine", "container 1a2b3c4d"
  std::string problem{};  // "has the digest sha256:…"
};
struct VerifyReport {
  uint64_t blobs = 0, bytes = 0;  // read and hashed
  uint64_t images = 0, layers = 0, snapshots = 0;
  std::vector<StoreProblem> problems{};  // none: the store is sound
};

// Content-addressed images and volumes on disk.
//
// A Store is a handle: copies are cheap and mean the same store, which closes
// with the last handle. All methods may be called from any thread, and one root
// may be open in several processes at once. Every change that a call reports is
// durable before the call returns.
class MINIBOX_EXPORT Store {
 public:
  // Creates or checks the tree of spec §6 and sweeps what dead processes left in tmp/.
  static StatusOr<Store> Open(const StoreOptions& options);

  // The data root as an absolute path.
  const std::filesystem::path& root() const;

  // By reference (normalised), else by digest or unique prefix (>= 6 hex digits)
  // of a manifest or config. kNotFound "image_not_found"; kFailedPrecondition
  // "ambiguous_name".
  StatusOr<ImageInfo> GetImage(std::string_view name_or_id) const;
  // The same with all that is known of it. With a `platform` ("linux/arm64"; empty: whatever it
  // is) the image must be for that: kNotFound "image_not_found".
  StatusOr<ImageDetails> InspectImage(std::string_view name_or_id,
                                      std::string_view platform = {}) const;
  // Newest first.
  StatusOr<std::vector<ImageHistory>> GetHistory(std::string_view name_or_id) const;
  // All images, sorted by name.
  StatusOr<std::vector<ImageInfo>> ListImages() const;
  // Makes `reference` a name of the image; an existing name moves.
  Status TagImage(std::string_view name_or_id, std::string_view reference);
  // Removes the index entries only (spec §10.1); content stays until it is
  // collected. Returns the names removed. kNotFound "image_not_found";
  // kFailedPrecondition "image_in_use".
  StatusOr<std::vector<std::string>> RemoveImage(std::string_view name_or_id,
                                                 const RemoveImageOptions& options = {});

  // Reads an image archive (OCI layout, docker-archive or the older meta.json form;
  // plain, gzip or zstd) from `fd`, which is borrowed and need not be seekable. All
  // or nothing. kInvalidArgument "invalid_archive" names the entry at fault.
  StatusOr<std::vector<ImageInfo>> Load(int fd, ProgressFn progress = {},
                                        std::stop_token stop = {});

  // Writes an archive of the images to `fd`, which is borrowed and need not be seekable: an OCI
  // layout that also is a docker-archive (spec §10.1). An image that is given by name has that
  // name in it, one given by digest none. The bytes depend on the images alone. Blobs are verified
  // while they are written: kDataLoss names the damaged one, and what was written is to be thrown
  // away. Writing to a pipe or socket that nobody reads raises SIGPIPE unless it is ignored.
  Status Save(const std::vector<std::string>& images, int fd, const SaveOptions& options = {},
              ProgressFn progress = {}, std::stop_token stop = {}) const;
  // Makes an image of one layer from the tar of a root file system (plain, gzip or zstd), which is
  // kept byte for byte. kInvalidArgument "invalid_archive" names the entry at fault.
  StatusOr<ImageInfo> Import(int fd, const ImportOptions& options, ProgressFn progress = {},
                             std::stop_token stop = {});

  // Removes what nothing needs (spec §10.3): everything but what a named image, a container in
  // any state, an operation in progress and, without build_cache, the build cache refer to. Any
  // other operation may run at the same time, in any process, and loses nothing that it has seen.
  // Cancelled, it leaves a valid store. kDataLoss if something that may refer to more cannot be
  // read: then nothing is removed.
  StatusOr<PruneReport> Prune(const PruneOptions& options = {}, std::stop_token stop = {});
  StatusOr<DiskUsageReport> GetDiskUsage(bool items = false) const;
  // Reads every blob and follows every reference of images, containers and the build cache.
  StatusOr<VerifyReport> Verify(std::stop_token stop = {}) const;

  // Volumes (spec §6: volumes/<name>). Creating one that exists returns it.
  // An empty name makes an anonymous one.
  StatusOr<VolumeInfo> CreateVolume(std::string_view name, const Labels& labels = {});
  StatusOr<VolumeInfo> InspectVolume(std::string_view name) const;
  StatusOr<std::vector<VolumeInfo>> ListVolumes() const;
  // kFailedPrecondition "volume_in_use" while a container refers to it.
  Status RemoveVolume(std::string_view name);
  // Removes volumes that no container refers to: anonymous ones, or all.
  StatusOr<PruneVolumesReport> PruneVolumes(const PruneVolumesOptions& options = {});

 private:
  friend class Registry;
  friend class Runtime;
  friend class ImageBuilder;
  friend class StoreTestPeer;
  struct Impl;
  explicit Store(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
