// SPDX-License-Identifier: Apache-2.0
#include "store/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr char kIngest[] = "blob";

std::string BlobPath(const Digest& digest) { return core::StrCat(kBlobs256, "/", digest.hex()); }

Status BlobNotFound(const Digest& digest) {
  return core::NotFound("blob_not_found", core::StrCat("blob ", digest.ToString(), " not found"));
}

Status NoRegularFile(const Digest& digest) {
  return core::DataLoss(core::StrCat("blob ", digest.ToString(), " is not a regular file"));
}

}  // namespace

BlobWriter::BlobWriter(std::shared_ptr<DataRoot> root, OperationDir operation, core::Fd file)
    : root_(std::move(root)), operation_(std::move(operation)), file_(std::move(file)) {}

Status BlobWriter::Write(std::string_view bytes) {
  MBX_FAILPOINT("blob.write");
  MBX_RETURN_IF_ERROR(core::WriteAll(file_.get(), bytes).WithContext("blob"));
  hash_.Update(bytes);
  size_ += bytes.size();
  return Status();
}

StatusOr<Digest> BlobWriter::Commit(const std::optional<Digest>& expected, Lease* lease) {
  const Digest digest = oci::DigestFromHex(hash_.FinishHex());
  if (expected && digest != *expected) {
    return core::DataLoss(
        core::StrCat("blob is ", digest.ToString(), ", expected ", expected->ToString()));
  }
  if (lease != nullptr) MBX_RETURN_IF_ERROR(lease->AddBlob(digest));
  MBX_FAILPOINT("blob.sync");
  if (fsync(file_.get()) != 0) return core::SysError("fsync", "blob");
  if (close(file_.release()) != 0 && errno != EINTR) return core::SysError("close", "blob");
  MBX_ASSIGN_OR_RETURN(const core::RootDir blobs, root_->dir().OpenDir(kBlobs256));
  const std::string name(digest.hex());
  const auto existing = blobs.LStat(name);
  // One of another size is damaged, and replaced.
  if (!existing.ok() || !S_ISREG(existing->st_mode) ||
      static_cast<uint64_t>(existing->st_size) != size_) {
    MBX_FAILPOINT("blob.rename");
    if (renameat(operation_.dir().fd(), kIngest, blobs.fd(), name.c_str()) != 0) {
      return core::SysError("renameat", BlobPath(digest));
    }
  }
  // Also for one that exists: whoever renamed it may not have got this far yet.
  MBX_FAILPOINT("blob.sync_dir");
  MBX_RETURN_IF_ERROR(core::SyncDir(blobs.fd()));
  return digest;
}

StatusOr<BlobWriter> BlobStore::NewBlob() const {
  MBX_ASSIGN_OR_RETURN(OperationDir operation, root_->NewOperation("blob"));
  MBX_ASSIGN_OR_RETURN(core::Fd file,
                       operation.dir().OpenAt(kIngest, O_WRONLY | O_CREAT | O_EXCL, 0644));
  return BlobWriter(root_, std::move(operation), std::move(file));
}

StatusOr<Digest> BlobStore::Put(std::string_view bytes, Lease* lease) const {
  MBX_ASSIGN_OR_RETURN(BlobWriter writer, NewBlob());
  MBX_RETURN_IF_ERROR(writer.Write(bytes));
  return writer.Commit(std::nullopt, lease);
}

bool BlobStore::Exists(const Digest& digest) const { return Size(digest).ok(); }

StatusOr<uint64_t> BlobStore::Size(const Digest& digest) const {
  const auto st = root_->dir().LStat(BlobPath(digest));
  if (st.status().sys_errno() == ENOENT) return BlobNotFound(digest);
  if (!st.ok()) return st.status();
  if (!S_ISREG(st->st_mode)) return NoRegularFile(digest);
  return static_cast<uint64_t>(st->st_size);
}

StatusOr<core::Fd> BlobStore::Open(const Digest& digest) const {
  // A FIFO in its place must not hang.
  auto fd = root_->dir().OpenNoFollow(BlobPath(digest), O_RDONLY | O_NONBLOCK);
  if (fd.status().sys_errno() == ENOENT) return BlobNotFound(digest);
  struct stat st {};
  if (fd.ok() && fstat(fd->get(), &st) != 0) return core::SysError("fstat", BlobPath(digest));
  if (fd.status().sys_errno() == ELOOP || (fd.ok() && !S_ISREG(st.st_mode))) {
    return NoRegularFile(digest);
  }
  return fd;
}

StatusOr<std::string> BlobStore::Read(const Digest& digest, size_t limit) const {
  MBX_ASSIGN_OR_RETURN(const core::Fd fd, Open(digest));
  auto content = core::ReadAll(fd.get(), limit);
  if (!content.ok()) {
    return content.status().WithContext(core::StrCat("blob ", digest.ToString()));
  }
  if (oci::DigestOf(*content) != digest) {
    return core::DataLoss(core::StrCat("blob ", digest.ToString(), " is damaged"));
  }
  return content;
}

}  // namespace minibox::store
