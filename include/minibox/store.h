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

struct RemoveImageOptions {
  bool force = false;  // also when containers use it, or a digest has several names
};

struct VolumeInfo {
  std::string name{};
  std::string path{};  // absolute host path of the content
  TimePoint created{};
  bool anonymous = false;
  Labels labels{};
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

  // Volumes (spec §6: volumes/<name>). Creating one that exists returns it.
  // An empty name makes an anonymous one.
  StatusOr<VolumeInfo> CreateVolume(std::string_view name, const Labels& labels = {});
  StatusOr<VolumeInfo> InspectVolume(std::string_view name) const;
  StatusOr<std::vector<VolumeInfo>> ListVolumes() const;
  // kFailedPrecondition "volume_in_use" while a container refers to it.
  Status RemoveVolume(std::string_view name);

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
