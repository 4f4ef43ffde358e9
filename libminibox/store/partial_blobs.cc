// SPDX-License-Identifier: Apache-2.0
#include "store/partial_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr size_t kChunk = 256u << 10;

std::string PathOf(const Digest& digest) { return core::StrCat(kPartial, "/", digest.hex()); }
std::string KeyOf(std::string_view hex) { return core::StrCat(kPartialLock, hex); }

}  // namespace

Status PartialBlob::Append(std::string_view bytes) {
  MBX_FAILPOINT("partial.append");
  MBX_RETURN_IF_ERROR(core::WriteAll(file_.get(), bytes).WithContext("blob"));
  hash_.Update(bytes);
  size_ += bytes.size();
  return Status();
}

Status PartialBlob::Reset() {
  if (ftruncate(file_.get(), 0) != 0) return core::SysError("ftruncate", PathOf(digest_));
  if (lseek(file_.get(), 0, SEEK_SET) != 0) return core::SysError("lseek", PathOf(digest_));
  hash_ = core::Sha256();
  size_ = 0;
  return Status();
}

Status PartialBlob::Commit() {
  const Digest actual = oci::DigestFromHex(hash_.FinishHex());
  if (actual != digest_) {
    MBX_RETURN_IF_ERROR(Discard());
    return core::DataLoss(core::StrCat("blob is ", actual.ToString(), " (", size_,
                                       " bytes), expected ", digest_.ToString()));
  }
  MBX_FAILPOINT("partial.sync");
  if (fsync(file_.get()) != 0) return core::SysError("fsync", PathOf(digest_));
  MBX_ASSIGN_OR_RETURN(const core::RootDir partial, root_->dir().OpenDir(kPartial));
  MBX_ASSIGN_OR_RETURN(const core::RootDir blobs, root_->dir().OpenDir(kBlobs256));
  const std::string name(digest_.hex());
  MBX_FAILPOINT("partial.rename");
  if (renameat(partial.fd(), name.c_str(), blobs.fd(), name.c_str()) != 0) {
    return core::SysError("renameat", PathOf(digest_));
  }
  MBX_FAILPOINT("partial.sync_dir");
  return core::SyncDir(blobs.fd());
}

Status PartialBlob::Discard() { return root_->dir().Unlink(PathOf(digest_)); }

StatusOr<PartialBlob> PartialBlobs::Open(const Digest& digest, std::stop_token stop) const {
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, root_->LockKey(KeyOf(digest.hex()), stop));
  MBX_FAILPOINT("partial.open");
  MBX_ASSIGN_OR_RETURN(core::Fd file,
                       root_->dir().OpenNoFollow(PathOf(digest), O_RDWR | O_CREAT, 0644));
  PartialBlob blob(root_, digest, std::move(lock), std::move(file));
  std::vector<char> buffer(kChunk);
  while (true) {
    if (stop.stop_requested()) return core::Cancelled("reading a partial blob");
    const ssize_t count = read(blob.file_.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return core::SysError("read", PathOf(digest));
    if (count == 0) return blob;
    blob.hash_.Update(std::string_view(buffer.data(), static_cast<size_t>(count)));
    blob.size_ += static_cast<uint64_t>(count);
  }
}

StatusOr<int> PartialBlobs::Sweep(std::chrono::seconds older_than, bool dry_run) const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, root_->dir().OpenDir(kPartial));
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, dir.List(""));
  int swept = 0;
  const std::time_t now = std::time(nullptr);
  const auto is_stale = [&](const std::string& name) {
    const auto st = dir.LStat(name);
    return st.ok() && now - st->st_mtime >= older_than.count();
  };
  for (const std::string& name : names) {
    if (!is_stale(name)) continue;
    MBX_ASSIGN_OR_RETURN(const auto lock, root_->TryLockKey(KeyOf(name)));
    // Whoever held it may have added to it.
    if (!lock.has_value() || !is_stale(name)) continue;
    ++swept;
    if (dry_run) continue;
    const Status removed = dir.Unlink(name);
    if (!removed.ok() && removed.sys_errno() != ENOENT) return removed;
  }
  return swept;
}

}  // namespace minibox::store
