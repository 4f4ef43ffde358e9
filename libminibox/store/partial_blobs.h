// SPDX-License-Identifier: Apache-2.0
// partial/<hex>: the first bytes of blobs whose download has not ended. They outlive their process,
// so that the next attempt goes on where the last one was cut off (spec §9.2).
//
//   MBX_ASSIGN_OR_RETURN(PartialBlob blob, partial.Open(digest, stop));   // waits for its turn
//   if (blobs.Exists(digest)) …                                          // somebody was faster
//   while (…) MBX_RETURN_IF_ERROR(blob.Append(bytes));
//   MBX_RETURN_IF_ERROR(blob.Commit());
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string_view>

#include "core/fd.h"
#include "core/file_lock.h"
#include "core/sha256.h"
#include "minibox/status.h"
#include "minibox/types.h"
#include "store/data_root.h"

namespace minibox::store {

// One blob being fetched; nobody else in any process has it meanwhile. Destroying it keeps the
// bytes. Not thread-safe, but the file may be read elsewhere up to what size() once said.
class PartialBlob {
 public:
  PartialBlob(PartialBlob&&) noexcept = default;
  PartialBlob& operator=(PartialBlob&&) noexcept = default;
  uint64_t size() const { return size_; }
  const core::Fd& file() const { return file_; }
  Status Append(std::string_view bytes);
  // Back to no bytes.
  Status Reset();
  // Syncs, verifies (kDataLoss: then nothing is left of it) and renames into blobs/sha256.
  Status Commit();
  Status Discard();

 private:
  friend class PartialBlobs;
  PartialBlob(std::shared_ptr<DataRoot> root, Digest digest, core::FileLock lock, core::Fd file)
      : root_(std::move(root)),
        digest_(std::move(digest)),
        lock_(std::move(lock)),
        file_(std::move(file)) {}
  std::shared_ptr<DataRoot> root_;
  Digest digest_;
  core::FileLock lock_;
  core::Fd file_;
  core::Sha256 hash_;
  uint64_t size_ = 0;
};

class PartialBlobs {
 public:
  // How long the bytes of a failed or cancelled download are kept for the next one.
  static constexpr std::chrono::seconds kKept = std::chrono::hours(24);

  explicit PartialBlobs(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  // Waits until nobody else fetches the blob. What is there already is read once, for the digest.
  StatusOr<PartialBlob> Open(const Digest& digest, std::stop_token stop = {}) const;
  // Removes what nobody is fetching and nobody has added to for `older_than`. Returns how many
  // there were; `dry_run` only counts them.
  StatusOr<int> Sweep(std::chrono::seconds older_than = kKept, bool dry_run = false) const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
