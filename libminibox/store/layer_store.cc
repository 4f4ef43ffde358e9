// SPDX-License-Identifier: Apache-2.0
#include "store/layer_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "archive/layer_apply.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "store/layout.h"

namespace minibox::store {
namespace {

constexpr char kTree[] = "tree";
constexpr size_t kChunk = 256 * 1024;

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

}  // namespace

std::string_view LayerMediaType(archive::Compression compression) {
  switch (compression) {
    case archive::Compression::kGzip:
      return oci::kOciLayerGzip;
    case archive::Compression::kZstd:
      return oci::kOciLayerZstd;
    case archive::Compression::kNone:
      break;
  }
  return oci::kOciLayerTar;
}

std::string LayerStore::Path(const Digest& diff_id) {
  return core::StrCat(kExtracted, "/", diff_id.hex());
}

bool LayerStore::Exists(const Digest& diff_id) const {
  const auto st = root_->dir().LStat(Path(diff_id));
  return st.ok() && S_ISDIR(st->st_mode);
}

StatusOr<Digest> LayerStore::ComputedDiffId(const Digest& blob, std::stop_token stop) const {
  MBX_ASSIGN_OR_RETURN(const core::Fd file, blobs_.Open(blob));
  char head[8];
  const ssize_t count = pread(file.get(), head, sizeof head, 0);
  if (count < 0) return core::SysError("pread", Short(blob));
  // Of a plain tar it is the blob's own digest.
  if (archive::DetectCompression(std::string_view(head, static_cast<size_t>(count))) ==
      archive::Compression::kNone) {
    return blob;
  }
  const archive::ReadFn tar = archive::Decompress(archive::ReadFromFd(file.get()));
  core::Sha256 hash;
  std::vector<char> buffer(kChunk);
  while (true) {
    if (stop.stop_requested()) return core::Cancelled("unpack");
    MBX_ASSIGN_OR_RETURN(const size_t n, tar(buffer.data(), buffer.size()));
    if (n == 0) return oci::DigestFromHex(hash.FinishHex());
    hash.Update({buffer.data(), n});
  }
}

StatusOr<Digest> LayerStore::EnsureUnpacked(const Digest& blob, const Digest& given_diff_id,
                                            std::stop_token stop) const {
  Digest diff_id = given_diff_id;
  if (Exists(diff_id)) return diff_id;
  const std::string context = core::StrCat("layer ", Short(blob));
  if (diff_id == blob) {
    // Configurations of older versions name the compressed blob; for a plain tar it is the same.
    auto actual = ComputedDiffId(blob, stop);
    if (!actual.ok()) return actual.status().WithContext(context);
    diff_id = *actual;
    if (Exists(diff_id)) return diff_id;
  }
  const std::string key = core::StrCat(kLayerLock, diff_id.hex());
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, root_->LockKey(key, stop));
  // Whoever held the lock may have unpacked it.
  if (Exists(diff_id)) return diff_id;
  MBX_ASSIGN_OR_RETURN(const core::Fd file, blobs_.Open(blob));
  MBX_ASSIGN_OR_RETURN(const OperationDir operation, root_->NewOperation("unpack"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kTree, 0755));
  MBX_ASSIGN_OR_RETURN(const core::RootDir tree, operation.dir().OpenDir(kTree));
  MBX_FAILPOINT("layer.apply");
  const auto applied =
      archive::ApplyLayer(archive::Decompress(archive::ReadFromFd(file.get())), tree, {}, stop);
  if (!applied.ok()) return applied.status().WithContext(context);
  if (applied->diff_id != diff_id) {
    return core::DataLoss(core::StrCat(context, " unpacks to ", applied->diff_id.ToString(),
                                       ", expected ", diff_id.ToString()));
  }
  for (const std::string& note : applied->notes) {
    core::LogDebug("store", core::StrCat(context, ": ", note));
  }
  MBX_RETURN_IF_ERROR(Publish(diff_id, operation, kTree).WithContext(context));
  return diff_id;
}

Status LayerStore::Publish(const Digest& diff_id, const OperationDir& operation,
                           std::string_view tree) const {
  MBX_FAILPOINT("layer.sync");
  // Complete by definition once it has its name, so every file of it must be on disk before.
  if (syncfs(operation.dir().fd()) != 0) return core::SysError("syncfs", operation.path());
  return PublishSynced({{diff_id, std::string(tree)}}, operation);
}

Status LayerStore::PublishSynced(const std::vector<FinishedTree>& trees,
                                 const OperationDir& operation) const {
  MBX_ASSIGN_OR_RETURN(const core::RootDir extracted, root_->dir().OpenDir(kExtracted));
  for (const auto& [diff_id, tree] : trees) {
    MBX_FAILPOINT("layer.rename");
    const std::string hex(diff_id.hex());
    if (renameat2(operation.dir().fd(), tree.c_str(), extracted.fd(), hex.c_str(),
                  RENAME_NOREPLACE) != 0 &&
        errno != EEXIST) {
      return core::SysError("renameat2", Path(diff_id));
    }
  }
  MBX_FAILPOINT("layer.sync_dir");
  return core::SyncDir(extracted.fd());
}

}  // namespace minibox::store
