// SPDX-License-Identifier: Apache-2.0
// What a list says of an image, remembered while its documents are the files that were read:
// reading, hashing and parsing two documents for each of a thousand images takes long.
//
//   manifest digest -> ImageInfo + stamps of blobs/sha256/<manifest> and <config>
//
// Blobs never change, so a stamp (inode, size, times) that is still the same means the content
// that was verified, whichever process has changed the store meanwhile; a blob that was removed,
// replaced or damaged has another stamp or none.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/root_dir.h"
#include "minibox/store.h"
#include "minibox/types.h"
#include "oci/manifest.h"

namespace minibox::store {

// Of a regular file: equal stamps, equal content.
struct BlobStamp {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified_s = 0, modified_ns = 0, changed_s = 0, changed_ns = 0;
  bool operator==(const BlobStamp&) const = default;
};
// `blobs` is blobs/sha256. nullopt if there is no such file.
std::optional<BlobStamp> StampOf(const core::RootDir& blobs, const Digest& digest);

// Thread-safe.
class ImageSummaries {
 public:
  // What an image takes in here at most, and all of them; what is larger is not kept.
  static constexpr size_t kMaxImageBytes = 64u << 10, kMaxBytes = 16u << 20;

  // What Remember() was given for the entry's manifest, without names and use.
  std::optional<ImageInfo> Find(const core::RootDir& blobs, const oci::Descriptor& entry) const;
  // `manifest` was taken before that document was read.
  void Remember(const core::RootDir& blobs, const oci::Descriptor& entry, const BlobStamp& manifest,
                const ImageInfo& info);
  size_t size() const;

 private:
  struct Summary {
    uint64_t entry_size = 0;  // as the index says, which info.size depends on
    BlobStamp manifest, config;
    ImageInfo info;
  };
  mutable absl::Mutex mutex_;
  std::map<Digest, Summary> summaries_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace minibox::store
