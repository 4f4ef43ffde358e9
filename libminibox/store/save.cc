// SPDX-License-Identifier: Apache-2.0
// Store::Save (spec §10.1): documents first, then every blob once, sorted, so that equal images
// give equal bytes.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "archive/compression.h"
#include "archive/tar_writer.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread.h"
#include "oci/media_types.h"
#include "store/layout.h"
#include "store/lookup.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kBufferBytes = 1u << 20;
constexpr size_t kMaxManifestBytes = 4u << 20;
constexpr size_t kTarEndBytes = 1024;
constexpr std::string_view kLayoutText = R"({"imageLayoutVersion":"1.0.0"})";

struct SavedImage {
  std::optional<ImageRef> name{};
  oci::Descriptor descriptor;
  oci::Manifest manifest;
};

archive::Compression ToCompression(ArchiveCompression compression) {
  switch (compression) {
    case ArchiveCompression::kNone:
      return archive::Compression::kNone;
    case ArchiveCompression::kGzip:
      return archive::Compression::kGzip;
    case ArchiveCompression::kZstd:
      return archive::Compression::kZstd;
  }
  return archive::Compression::kNone;
}

std::string BlobName(const Digest& digest) {
  return core::StrCat(store::kBlobs256, "/", digest.hex());
}

std::string MetaJson(const std::vector<SavedImage>& images) {
  const auto write = [](json::Writer& out, const SavedImage& image) {
    out.Key("image").String(image.name.has_value() ? image.name->Shown() : "");
    out.Key("manifest_digest").String(image.descriptor.digest.hex());
  };
  json::Writer out;
  out.BeginObject();
  write(out, images.front());
  out.Key("images").BeginArray();
  for (const SavedImage& image : images) {
    out.BeginObject();
    write(out, image);
    out.EndObject();
  }
  out.EndArray().EndObject();
  return out.Take();
}

std::string IndexJson(const std::vector<SavedImage>& images) {
  oci::Index index;
  for (const SavedImage& image : images) {
    std::vector<ImageRef> names;
    if (image.name.has_value()) names.push_back(*image.name);
    store::SetNames(index.manifests, image.descriptor, names);
  }
  return oci::SerializeIndex(index);
}

// "alpine:latest": other tools want the tag, and cannot read what only our grammar permits.
std::optional<std::string> RepoTag(const SavedImage& image) {
  if (!image.name.has_value() || image.name->is_local() || !image.name->digest().empty()) {
    return std::nullopt;
  }
  std::string name = image.name->Shown();
  const std::string tag = core::StrCat(":", image.name->tag());
  return name.ends_with(tag) ? name : name + tag;
}

// The docker-archive view of the same blobs; one row per image with all its names.
std::string TableJson(const std::vector<SavedImage>& images) {
  std::vector<std::pair<const SavedImage*, std::vector<std::string>>> rows;
  for (const SavedImage& image : images) {
    auto row = std::find_if(rows.begin(), rows.end(), [&](const auto& other) {
      return other.first->descriptor.digest == image.descriptor.digest;
    });
    if (row == rows.end()) row = rows.insert(rows.end(), {&image, {}});
    if (auto tag = RepoTag(image)) row->second.push_back(*std::move(tag));
  }
  json::Writer out;
  out.BeginArray();
  for (const auto& [image, tags] : rows) {
    std::vector<std::string> layers;
    for (const oci::Descriptor& layer : image->manifest.layers) {
      layers.push_back(BlobName(layer.digest));
    }
    out.BeginObject();
    out.Key("Config").String(BlobName(image->manifest.config.digest));
    out.Key("RepoTags").StringArray(tags);
    out.Key("Layers").StringArray(layers);
    out.EndObject();
  }
  out.EndArray();
  return out.Take();
}

class Saver {
 public:
  Saver(const store::BlobStore& blobs, int fd, const ProgressFn& progress, std::stop_token stop)
      : blobs_(blobs), fd_(fd), progress_(progress), stop_(std::move(stop)) {}

  Status Run(const std::vector<SavedImage>& images, archive::Compression compression) {
    if (compression != archive::Compression::kNone) {
      MBX_ASSIGN_OR_RETURN(compressor_,
                           archive::Compressor::Create(compression, archive::WriteToFd(fd_)));
    }
    std::map<std::string, uint64_t> sizes;  // by hex
    for (const SavedImage& image : images) {
      sizes.emplace(image.descriptor.digest.hex(), image.descriptor.size);
      sizes.emplace(image.manifest.config.digest.hex(), image.manifest.config.size);
      for (const oci::Descriptor& layer : image.manifest.layers) {
        sizes.emplace(layer.digest.hex(), layer.size);
      }
    }
    for (const auto& [hex, size] : sizes) total_ += size;
    MBX_RETURN_IF_ERROR(WriteDocument("meta.json", MetaJson(images)));
    MBX_RETURN_IF_ERROR(WriteDocument("oci-layout", kLayoutText));
    MBX_RETURN_IF_ERROR(WriteDocument("index.json", IndexJson(images)));
    MBX_RETURN_IF_ERROR(WriteDocument("manifest.json", TableJson(images)));
    for (const std::string_view directory : {store::kBlobs, store::kBlobs256}) {
      archive::TarEntry entry{.type = archive::TarType::kDirectory};
      entry.path = directory;
      entry.mode = 0755;
      MBX_RETURN_IF_ERROR(Write(archive::EncodeTarHeader(entry)));
    }
    for (const auto& [hex, size] : sizes) MBX_RETURN_IF_ERROR(WriteBlob(hex, size));
    MBX_RETURN_IF_ERROR(Write(std::string(kTarEndBytes, '\0')));
    if (compressor_ != nullptr) MBX_RETURN_IF_ERROR(compressor_->Finish());
    if (progress_) progress_({Progress::Phase::kDone, "", done_, total_});
    return {};
  }

 private:
  Status Write(std::string_view bytes) {
    if (stop_.stop_requested()) return core::Cancelled("saving");
    if (compressor_ != nullptr) return compressor_->Write(bytes);
    return core::WriteAll(fd_, bytes).WithContext("archive");
  }

  Status WriteHeader(std::string_view path, uint64_t size) {
    archive::TarEntry entry;
    entry.path = path;
    entry.mode = 0644;
    entry.size = size;
    return Write(archive::EncodeTarHeader(entry));
  }

  Status WritePadding(uint64_t size) { return Write(std::string(archive::TarPadding(size), '\0')); }

  Status WriteDocument(std::string_view name, std::string_view text) {
    MBX_RETURN_IF_ERROR(WriteHeader(name, text.size()));
    MBX_RETURN_IF_ERROR(Write(text));
    return WritePadding(text.size());
  }

  void Report(const std::string& subject) const {
    if (progress_) progress_({Progress::Phase::kTransferring, subject, done_, total_});
  }

  Status WriteBlob(const std::string& hex, uint64_t size) {
    MBX_FAILPOINT("save.blob");
    const std::string name = core::StrCat("sha256:", hex);
    MBX_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(name));
    MBX_ASSIGN_OR_RETURN(const uint64_t actual, blobs_.Size(digest));
    if (actual != size) {
      return core::DataLoss(
          core::StrCat("blob ", name, " has ", actual, " bytes instead of ", size));
    }
    MBX_ASSIGN_OR_RETURN(const core::Fd blob, blobs_.Open(digest));
    MBX_RETURN_IF_ERROR(WriteHeader(core::StrCat(store::kBlobs256, "/", hex), size));
    Report(name);
    StatusOr<std::string> hash = std::string();
    if (compressor_ == nullptr && size > kBufferBytes && CanCopy()) {
      // The kernel copies while another thread hashes: neither waits for the other.
      Status copied;
      {
        std::thread hasher = core::StartThread("mbx-save", [&] { hash = HashBlob(blob, size); });
        copied = CopyInKernel(blob, size);
        hasher.join();
      }
      MBX_RETURN_IF_ERROR(copied);
      done_ += size;
    } else {
      hash = WriteContent(blob, size, name);
    }
    if (!hash.ok()) return hash.status();
    if (*hash != hex) return core::DataLoss(core::StrCat("blob ", name, " is damaged"));
    return WritePadding(size);
  }

  bool CanCopy() const {
    struct ::stat st {};
    return fstat(fd_, &st) == 0 && S_ISREG(st.st_mode) && (fcntl(fd_, F_GETFL) & O_APPEND) == 0;
  }

  StatusOr<std::string> HashBlob(const core::Fd& blob, uint64_t size) const {
    core::Sha256 hash;
    std::vector<char> buffer(kBufferBytes);
    for (uint64_t offset = 0; offset < size;) {
      if (stop_.stop_requested()) return core::Cancelled("saving");
      const ssize_t count =
          pread(blob.get(), buffer.data(), buffer.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return core::SysError("pread", "blob");
      if (count == 0) return core::DataLoss("a blob became shorter");
      hash.Update(std::string_view(buffer.data(), static_cast<size_t>(count)));
      offset += static_cast<uint64_t>(count);
    }
    return hash.FinishHex();
  }

  Status CopyInKernel(const core::Fd& blob, uint64_t size) {
    off_t from = 0;
    while (static_cast<uint64_t>(from) < size) {
      if (stop_.stop_requested()) return core::Cancelled("saving");
      const size_t wanted =
          std::min<uint64_t>(size - static_cast<uint64_t>(from), 64 * kBufferBytes);
      const ssize_t count = copy_file_range(blob.get(), &from, fd_, nullptr, wanted, 0);
      if (count > 0) continue;
      if (count == 0) return core::DataLoss("a blob became shorter");
      if (errno == EINTR) continue;
      // Across file systems, or where the kernel cannot.
      if (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP) {
        return CopyByHand(blob, from, size);
      }
      return core::SysError("copy_file_range", "archive");
    }
    return {};
  }

  Status CopyByHand(const core::Fd& blob, off_t from, uint64_t size) {
    std::vector<char> buffer(kBufferBytes);
    while (static_cast<uint64_t>(from) < size) {
      const ssize_t count = pread(blob.get(), buffer.data(), buffer.size(), from);
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return core::SysError("pread", "blob");
      if (count == 0) return core::DataLoss("a blob became shorter");
      MBX_RETURN_IF_ERROR(Write(std::string_view(buffer.data(), static_cast<size_t>(count))));
      from += count;
    }
    return {};
  }

  StatusOr<std::string> WriteContent(const core::Fd& blob, uint64_t size, const std::string& name) {
    core::Sha256 hash;
    std::vector<char> buffer(std::min<uint64_t>(kBufferBytes, size + 1));
    const archive::ReadFn read = archive::ReadFromFd(blob.get());
    for (uint64_t left = size; left > 0;) {
      MBX_ASSIGN_OR_RETURN(const size_t count,
                           read(buffer.data(), std::min<uint64_t>(left, buffer.size())));
      if (count == 0) return core::DataLoss("a blob became shorter");
      const std::string_view bytes(buffer.data(), count);
      hash.Update(bytes);
      MBX_RETURN_IF_ERROR(Write(bytes));
      left -= count;
      done_ += count;
      Report(name);
    }
    return hash.FinishHex();
  }

  const store::BlobStore& blobs_;
  const int fd_;
  const ProgressFn& progress_;
  const std::stop_token stop_;
  std::unique_ptr<archive::Compressor> compressor_;
  uint64_t done_ = 0, total_ = 0;
};

}  // namespace

Status Store::Save(const std::vector<std::string>& images, int fd, const SaveOptions& options,
                   ProgressFn progress, std::stop_token stop) const {
  if (images.empty()) return core::InvalidArgument("image", "no image is given");
  std::vector<Impl::Leased> leased;
  std::vector<SavedImage> saved;
  for (const std::string& name : images) {
    auto found = impl_->ResolveLeased(name, "save");
    if (!found.ok()) return found.status().WithContext(core::EscapeControl(name));
    const Impl::Image& image = found->image;
    MBX_ASSIGN_OR_RETURN(const std::string text,
                         impl_->blobs.Read(image.info.manifest, kMaxManifestBytes));
    MBX_ASSIGN_OR_RETURN(const json::Value root, json::Parse(text));
    MBX_ASSIGN_OR_RETURN(std::string media_type, root.GetString("mediaType", oci::kOciManifest));
    SavedImage result{.descriptor = {.media_type = std::move(media_type),
                                     .digest = image.info.manifest,
                                     .size = text.size(),
                                     .platform = image.config.platform},
                      .manifest = image.manifest};
    // By digest it has no name: which one of several would it be.
    const auto reference = ImageRef::Parse(name);
    if (reference.ok() && reference->ToString() == image.info.reference) {
      MBX_ASSIGN_OR_RETURN(result.name, ImageRef::Parse(image.info.name));
    }
    const bool twice = std::any_of(saved.begin(), saved.end(), [&](const SavedImage& other) {
      const auto text_of = [](const SavedImage& i) {
        return i.name.has_value() ? i.name->ToString() : std::string();
      };
      return other.descriptor.digest == result.descriptor.digest &&
             text_of(other) == text_of(result);
    });
    if (!twice) saved.push_back(std::move(result));
    leased.push_back(*std::move(found));
  }
  MBX_RETURN_IF_ERROR(Saver(impl_->blobs, fd, progress, std::move(stop))
                          .Run(saved, ToCompression(options.compression)));
  for (const SavedImage& image : saved) {
    impl_->root->events().Emit("image.save", image.descriptor.digest.ToString(),
                               {{"name", image.name.has_value() ? image.name->Shown() : ""}});
  }
  return {};
}

}  // namespace v1
}  // namespace minibox
