// SPDX-License-Identifier: Apache-2.0
// blobs/sha256: content by digest. A blob exists under its name only when complete.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/fd.h"
#include "core/sha256.h"
#include "minibox/status.h"
#include "minibox/types.h"
#include "store/data_root.h"
#include "store/leases.h"

namespace minibox::store {

// An ingest. Destroying it before Commit() discards what was written. Not thread-safe.
class BlobWriter {
 public:
  BlobWriter(BlobWriter&&) noexcept = default;
  Status Write(std::string_view bytes);
  uint64_t size() const { return size_; }
  // Syncs, verifies against `expected` if given (kDataLoss), renames into place, syncs the
  // directory. A blob that exists already is fine. With `lease` the blob is added to it before it
  // has its name, so that no collection comes in between.
  StatusOr<Digest> Commit(const std::optional<Digest>& expected = std::nullopt,
                          Lease* lease = nullptr);

 private:
  friend class BlobStore;
  BlobWriter(std::shared_ptr<DataRoot> root, OperationDir operation, core::Fd file);
  std::shared_ptr<DataRoot> root_;
  OperationDir operation_;
  core::Fd file_;
  core::Sha256 hash_;
  uint64_t size_ = 0;
};

class BlobStore {
 public:
  explicit BlobStore(std::shared_ptr<DataRoot> root) : root_(std::move(root)) {}
  StatusOr<BlobWriter> NewBlob() const;
  // NewBlob, Write, Commit.
  StatusOr<Digest> Put(std::string_view bytes, Lease* lease = nullptr) const;
  bool Exists(const Digest& digest) const;
  StatusOr<uint64_t> Size(const Digest& digest) const;
  StatusOr<core::Fd> Open(const Digest& digest) const;  // kNotFound "blob_not_found"
  // Whole content, verified; kResourceExhausted beyond `limit`.
  StatusOr<std::string> Read(const Digest& digest, size_t limit) const;

 private:
  std::shared_ptr<DataRoot> root_;
};

}  // namespace minibox::store
