// SPDX-License-Identifier: Apache-2.0
// Store::Import: one pass over the stream makes the blob, its digests and the unpacked tree.
#include <chrono>
#include <optional>
#include <utility>

#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/media_types.h"
#include "store/stoppable_fd.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr char kTree[] = "tree";
constexpr size_t kMagicBytes = 8;
constexpr uint64_t kProgressBytes = 4u << 20;
constexpr size_t kMaxMessage = 64u << 10;

Status AsInvalidArchive(const Status& status) {
  if (status.reason() != "invalid_archive") return status;
  return Status(StatusCode::kInvalidArgument, status.message(),
                {.reason = status.reason(), .field = status.field()});
}

}  // namespace

StatusOr<ImageInfo> Store::Import(int fd, const ImportOptions& options, ProgressFn progress,
                                  std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const ImageRef name, ImageRef::Parse(options.image));
  if (!name.digest().empty()) {
    return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                       core::StrCat("'", options.image, "': a name to give takes no digest"));
  }
  if (options.message.size() > kMaxMessage) {
    return core::InvalidArgument("message", "exceeds 64 KiB");
  }
  MBX_ASSIGN_OR_RETURN(store::Lease lease, impl_->leases.Acquire("import"));
  MBX_ASSIGN_OR_RETURN(const store::OperationDir operation, impl_->root->NewOperation("import"));
  MBX_RETURN_IF_ERROR(operation.dir().MakeDir(kTree, 0755));
  MBX_ASSIGN_OR_RETURN(const core::RootDir tree, operation.dir().OpenDir(kTree));
  MBX_ASSIGN_OR_RETURN(const auto source,
                       store::StoppableFd::Create(fd, stop, "root file system archive"));
  MBX_ASSIGN_OR_RETURN(store::BlobWriter blob, impl_->blobs.NewBlob());
  std::string head;
  uint64_t reported = 0;
  archive::ReadFn raw = [&](char* buffer, size_t size) -> StatusOr<size_t> {
    MBX_ASSIGN_OR_RETURN(const size_t count, source->Read(buffer, size));
    const std::string_view bytes(buffer, count);
    MBX_RETURN_IF_ERROR(blob.Write(bytes));
    if (head.size() < kMagicBytes) head += bytes.substr(0, kMagicBytes - head.size());
    if (progress && blob.size() - reported >= kProgressBytes) {
      reported = blob.size();
      progress({Progress::Phase::kUnpacking, name.Shown(), reported, 0});
    }
    return count;
  };
  const auto applied =
      archive::ApplyLayer(archive::Decompress(std::move(raw)), tree, {}, std::move(stop));
  if (!applied.ok()) return AsInvalidArchive(applied.status());
  if (blob.size() == 0) {
    return core::Error(StatusCode::kInvalidArgument, "invalid_archive", "the archive is empty");
  }
  for (const std::string& note : applied->notes) core::LogDebug("store", note);

  const uint64_t size = blob.size();
  MBX_ASSIGN_OR_RETURN(const Digest layer, blob.Commit(std::nullopt, &lease));
  MBX_RETURN_IF_ERROR(lease.AddLayer(applied->diff_id));
  MBX_RETURN_IF_ERROR(impl_->layers.Publish(applied->diff_id, operation, kTree));

  oci::ImageConfig config;
  config.created = core::FormatTime(std::chrono::system_clock::now());
  config.platform = oci::HostPlatform();
  config.diff_ids = {applied->diff_id};
  config.history = {
      {.created = config.created, .created_by = "import", .comment = options.message}};
  const std::string config_json = oci::SerializeImageConfig(config);
  MBX_ASSIGN_OR_RETURN(const Digest config_digest, impl_->blobs.Put(config_json, &lease));
  const std::string manifest_json = oci::SerializeManifest(
      {.config = {.media_type = std::string(oci::kOciConfig),
                  .digest = config_digest,
                  .size = config_json.size()},
       .layers = {
           {.media_type = std::string(store::LayerMediaType(archive::DetectCompression(head))),
            .digest = layer,
            .size = size}}});
  MBX_ASSIGN_OR_RETURN(const Digest manifest, impl_->blobs.Put(manifest_json, &lease));
  MBX_RETURN_IF_ERROR(impl_->references.Register({.media_type = std::string(oci::kOciManifest),
                                                  .digest = manifest,
                                                  .size = manifest_json.size(),
                                                  .platform = config.platform},
                                                 {name}));
  impl_->root->events().Emit("image.import", manifest.ToString(), {{"name", name.Shown()}});
  if (progress) progress({Progress::Phase::kDone, name.Shown(), size, size});
  MBX_ASSIGN_OR_RETURN(Impl::Image image, impl_->ResolveManifest(manifest));
  image.info.name = name.Shown();
  image.info.reference = name.ToString();
  return std::move(image.info);
}

}  // namespace v1
}  // namespace minibox
