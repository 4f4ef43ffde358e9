// SPDX-License-Identifier: Apache-2.0
#include "store/image_summaries.h"

#include <fcntl.h>

#include <utility>

namespace minibox::store {
namespace {

size_t BytesOf(const ImageInfo& info) {
  size_t bytes = 1024;
  for (const auto& [key, value] : info.labels) bytes += 128 + key.size() + value.size();
  const Platform& platform = info.platform;
  return bytes + platform.os.size() + platform.architecture.size() + platform.variant.size();
}

}  // namespace

std::optional<BlobStamp> StampOf(const core::RootDir& blobs, const Digest& digest) {
  // A digest's hex digits are one component, which needs no resolving.
  const std::string name(digest.hex());
  struct ::stat st {};
  if (fstatat(blobs.fd(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
    return std::nullopt;
  }
  return BlobStamp{.device = st.st_dev,
                   .inode = st.st_ino,
                   .size = static_cast<uint64_t>(st.st_size),
                   .modified_s = st.st_mtim.tv_sec,
                   .modified_ns = st.st_mtim.tv_nsec,
                   .changed_s = st.st_ctim.tv_sec,
                   .changed_ns = st.st_ctim.tv_nsec};
}

std::optional<ImageInfo> ImageSummaries::Find(const core::RootDir& blobs,
                                              const oci::Descriptor& entry) const {
  std::optional<Summary> found;
  {
    const absl::MutexLock lock(&mutex_);
    const auto known = summaries_.find(entry.digest);
    if (known == summaries_.end()) return std::nullopt;
    found = known->second;
  }
  const bool same = found->entry_size == entry.size &&
                    StampOf(blobs, entry.digest) == found->manifest &&
                    StampOf(blobs, found->info.id) == found->config;
  if (!same) return std::nullopt;
  return std::move(found->info);
}

void ImageSummaries::Remember(const core::RootDir& blobs, const oci::Descriptor& entry,
                              const BlobStamp& manifest, const ImageInfo& info) {
  const size_t bytes = BytesOf(info);
  const auto config = StampOf(blobs, info.id);
  if (bytes > kMaxImageBytes || !config) return;
  Summary summary{entry.size, manifest, *config, info};
  summary.info.name.clear();
  summary.info.reference.clear();
  summary.info.in_use = false;
  const absl::MutexLock lock(&mutex_);
  if (const auto old = summaries_.find(entry.digest); old != summaries_.end()) {
    bytes_ -= BytesOf(old->second.info);
    summaries_.erase(old);
  }
  // What is needed comes back at once, and images that are gone do not.
  if (bytes_ + bytes > kMaxBytes) {
    summaries_.clear();
    bytes_ = 0;
  }
  summaries_.emplace(entry.digest, std::move(summary));
  bytes_ += bytes;
}

size_t ImageSummaries::size() const {
  const absl::MutexLock lock(&mutex_);
  return summaries_.size();
}

}  // namespace minibox::store
