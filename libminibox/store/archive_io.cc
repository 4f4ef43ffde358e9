// SPDX-License-Identifier: Apache-2.0
// Store::Load (spec §10.1): stream -> staged files -> plan -> checked and unpacked layers, all in
// one operation's directory; only when nothing can be wrong any more are blobs and trees renamed
// into place and the names registered.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <stop_token>
#include <utility>
#include <vector>

#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/log.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "store/archive_plan.h"
#include "store/layout.h"
#include "store/staged_archive.h"
#include "store/stoppable_fd.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kReadBytes = 256u << 10;
constexpr size_t kShortDigest = 12;

// Every fault of the archive has one code; what reads streams in general knows finer ones.
Status AsInvalidArchive(const Status& status) {
  if (status.reason() != "invalid_archive" || status.code() == StatusCode::kInvalidArgument) {
    return status;
  }
  return Status(
      StatusCode::kInvalidArgument, status.message(),
      {.sys_errno = status.sys_errno(), .reason = status.reason(), .field = status.field()});
}

struct UnpackedLayer {
  Digest diff_id;
  std::string tree{};  // in the operation; empty: the store has it
};

// What of an open store a load needs.
struct Parts {
  std::shared_ptr<store::DataRoot> root;
  const store::BlobStore& blobs;
  const store::References& references;
  const store::LayerStore& layers;
};

class Loader {
 public:
  Loader(const Parts& store, const store::OperationDir& operation, const ProgressFn& progress,
         std::stop_token stop)
      : store_(store), operation_(&operation), progress_(progress), stop_(std::move(stop)) {}

  // Registered, in the order of the archive.
  StatusOr<std::vector<store::PlannedImage>> Run(int fd, store::Lease& lease) {
    MBX_ASSIGN_OR_RETURN(const store::StagedArchive staged, Stage(fd));
    Report(Progress::Phase::kVerifying, "", 0, 0);
    MBX_ASSIGN_OR_RETURN(std::vector<store::PlannedImage> images,
                         PlanArchive(staged, oci::HostPlatform()));
    for (const store::PlannedImage& image : images) MBX_RETURN_IF_ERROR(Unpack(staged, image));
    MBX_RETURN_IF_ERROR(Publish(images, lease));
    MBX_RETURN_IF_ERROR(Register(images));
    return images;
  }

 private:
  void Report(Progress::Phase phase, std::string subject, uint64_t done, uint64_t total) const {
    if (progress_) progress_({phase, std::move(subject), done, total});
  }

  Status CheckStop() const {
    return stop_.stop_requested() ? core::Cancelled("loading") : Status();
  }

  StatusOr<store::StagedArchive> Stage(int fd) {
    MBX_ASSIGN_OR_RETURN(const auto source, store::StoppableFd::Create(fd, stop_, "archive"));
    archive::ReadFn tar = archive::Decompress(
        [source](char* buffer, size_t size) { return source->Read(buffer, size); });
    auto staged = store::StagedArchive::Read(
        std::move(tar), operation_->dir(), [this](const std::string& entry, uint64_t bytes) {
          Report(Progress::Phase::kTransferring, entry, bytes, 0);
        });
    // What is wrong with the stream itself has no entry to name.
    const Status& read = staged.status();
    if (read.reason() == "invalid_archive" && read.field().empty()) {
      return read.WithContext("archive");
    }
    return staged;
  }

  // Checks that every layer is what the configuration says, by unpacking those that the store
  // does not have: what cannot be unpacked must not be loaded.
  Status Unpack(const store::StagedArchive& staged, const store::PlannedImage& image) {
    const size_t count = image.layer_files.size();
    for (size_t i = 0; i < count; ++i) {
      const store::StagedFile& file = *image.layer_files[i];
      const Digest& wanted = image.config.diff_ids[i];
      auto known = layers_.find(file.digest);
      if (known == layers_.end()) {
        Report(Progress::Phase::kUnpacking, file.digest.ToString(), 0, file.size);
        auto layer = UnpackLayer(staged, file, wanted);
        if (!layer.ok()) {
          return layer.status().WithContext(
              core::StrCat("layer ", i + 1, " (", file.digest.hex().substr(0, kShortDigest), ")"));
        }
        known = layers_.emplace(file.digest, *std::move(layer)).first;
        Report(Progress::Phase::kDone, file.digest.ToString(), file.size, file.size);
      }
      // Images of older versions name the compressed blob.
      const Digest& diff_id = known->second.diff_id;
      if (wanted != diff_id && wanted != file.digest) {
        return store::InvalidArchive(
            file.digest.ToString(),
            core::StrCat("unpacks to ", diff_id.ToString(), ", expected ", wanted.ToString()));
      }
    }
    return {};
  }

  StatusOr<UnpackedLayer> UnpackLayer(const store::StagedArchive& staged,
                                      const store::StagedFile& file, const Digest& wanted) {
    MBX_ASSIGN_OR_RETURN(const core::Fd fd, staged.Open(file));
    const archive::ReadFn tar = archive::Decompress(archive::ReadFromFd(fd.get()));
    if (store_.layers.Exists(wanted)) {
      MBX_ASSIGN_OR_RETURN(Digest diff_id, HashStream(tar));
      return UnpackedLayer{std::move(diff_id)};
    }
    std::string tree = core::StrCat("tree-", layers_.size());
    MBX_RETURN_IF_ERROR(operation_->dir().MakeDir(tree, 0755));
    MBX_ASSIGN_OR_RETURN(const core::RootDir root, operation_->dir().OpenDir(tree));
    MBX_ASSIGN_OR_RETURN(const archive::Applied applied, archive::ApplyLayer(tar, root, {}, stop_));
    for (const std::string& note : applied.notes) core::LogDebug("store", note);
    return UnpackedLayer{applied.diff_id, std::move(tree)};
  }

  StatusOr<Digest> HashStream(const archive::ReadFn& tar) const {
    core::Sha256 hash;
    std::vector<char> buffer(kReadBytes);
    while (true) {
      MBX_RETURN_IF_ERROR(CheckStop());
      MBX_ASSIGN_OR_RETURN(const size_t count, tar(buffer.data(), buffer.size()));
      if (count == 0) return oci::DigestFromHex(hash.FinishHex());
      hash.Update(std::string_view(buffer.data(), count));
    }
  }

  Status Publish(const std::vector<store::PlannedImage>& images, store::Lease& lease) {
    MBX_RETURN_IF_ERROR(CheckStop());
    std::map<Digest, const store::StagedFile*> files;
    store::LeaseItems items;
    for (const store::PlannedImage& image : images) {
      items.Blob(image.descriptor.digest);
      if (image.manifest_file != nullptr) {
        files.emplace(image.manifest_file->digest, image.manifest_file);
      }
      files.emplace(image.config_file->digest, image.config_file);
      for (const store::StagedFile* layer : image.layer_files) files.emplace(layer->digest, layer);
    }
    for (const auto& [digest, file] : files) items.Blob(digest);
    for (const auto& [blob, layer] : layers_) items.Layer(layer.diff_id);
    MBX_RETURN_IF_ERROR(lease.Add(items));
    // Staged blobs and unpacked trees, all at once, before any has its name.
    MBX_FAILPOINT("load.sync");
    if (syncfs(operation_->dir().fd()) != 0) return core::SysError("syncfs", operation_->path());
    MBX_ASSIGN_OR_RETURN(const core::RootDir blobs, store_.root->dir().OpenDir(store::kBlobs256));
    for (const auto& [digest, file] : files) MBX_RETURN_IF_ERROR(PublishBlob(*file, blobs));
    MBX_RETURN_IF_ERROR(core::SyncDir(blobs.fd()));
    for (const store::PlannedImage& image : images) {
      if (image.manifest_file == nullptr) {
        MBX_RETURN_IF_ERROR(store_.blobs.Put(image.manifest_bytes).status());
      }
    }
    std::set<Digest> published;  // two blobs may hold the same tar
    std::vector<store::LayerStore::FinishedTree> trees;
    for (const auto& [blob, layer] : layers_) {
      if (layer.tree.empty() || !published.insert(layer.diff_id).second) continue;
      trees.push_back({layer.diff_id, layer.tree});
    }
    return trees.empty() ? Status() : store_.layers.PublishSynced(trees, *operation_);
  }

  Status PublishBlob(const store::StagedFile& file, const core::RootDir& blobs) const {
    MBX_FAILPOINT("load.publish");
    const std::string name(file.digest.hex());
    // One of another size is damaged, and replaced.
    const auto there = blobs.LStat(name);
    if (there.ok() && S_ISREG(there->st_mode) &&
        static_cast<uint64_t>(there->st_size) == file.size) {
      return {};
    }
    if (renameat(operation_->dir().fd(), file.name.c_str(), blobs.fd(), name.c_str()) != 0) {
      return core::SysError("renameat", core::StrCat(store::kBlobs256, "/", name));
    }
    return {};
  }

  // One change of the index for all images.
  Status Register(const std::vector<store::PlannedImage>& images) {
    return store_.references.Update([&](std::vector<oci::Descriptor>& entries) {
      for (const store::PlannedImage& image : images) {
        store::SetNames(entries, image.descriptor, image.names);
      }
      return Status();
    });
  }

  const Parts& store_;
  const store::OperationDir* operation_;
  const ProgressFn& progress_;
  const std::stop_token stop_;
  std::map<Digest, UnpackedLayer> layers_;  // by blob
};

}  // namespace

StatusOr<std::vector<ImageInfo>> Store::Load(int fd, ProgressFn progress, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(store::Lease lease, impl_->leases.Acquire("load"));
  MBX_ASSIGN_OR_RETURN(const store::OperationDir operation, impl_->root->NewOperation("load"));
  const Parts parts{impl_->root, impl_->blobs, impl_->references, impl_->layers};
  const auto images = Loader(parts, operation, progress, std::move(stop)).Run(fd, lease);
  if (!images.ok()) return AsInvalidArchive(images.status());
  std::vector<ImageInfo> loaded;
  for (const store::PlannedImage& image : *images) {
    MBX_ASSIGN_OR_RETURN(const Impl::Image resolved,
                         impl_->ResolveManifest(image.descriptor.digest));
    ImageInfo info = resolved.info;
    info.name.clear();
    info.reference.clear();
    if (image.names.empty()) loaded.push_back(info);
    for (const ImageRef& name : image.names) {
      info.name = name.Shown();
      info.reference = name.ToString();
      loaded.push_back(info);
    }
    impl_->root->events().Emit("image.load", image.descriptor.digest.ToString(),
                               {{"name", image.names.empty() ? "" : image.names.front().Shown()}});
    if (progress) {
      const Digest& id = image.descriptor.digest;
      progress({Progress::Phase::kDone,
                image.names.empty() ? id.ToString() : image.names.front().Shown(), 1, 1});
    }
  }
  return loaded;
}

}  // namespace v1
}  // namespace minibox
