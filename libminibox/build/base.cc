// SPDX-License-Identifier: Apache-2.0
#include "build/base.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <set>
#include <utility>

#include "archive/compression.h"
#include "archive/tar_reader.h"
#include "build/cache_key.h"
#include "build/paths.h"
#include "core/clock.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/media_types.h"
#include "store/layout.h"

namespace minibox::build {
namespace {

constexpr int kMaxPulls = 5;
constexpr size_t kBufferBytes = 256u << 10;

// A variant counts only where it is asked for.
bool MatchesPlatform(const std::string& wanted, const Platform& platform) {
  const std::string text = platform.os + "/" + platform.architecture;
  return wanted == text || wanted == text + "/" + platform.variant;
}

template <typename Sink>
Status ReadAllOf(int fd, const std::string& name, const std::stop_token& stop, const Sink& sink) {
  if (lseek(fd, 0, SEEK_SET) != 0) return core::SysError("lseek", name);
  std::vector<char> buffer(kBufferBytes);
  while (true) {
    if (stop.stop_requested()) return core::Cancelled("reading the base");
    const ssize_t count = read(fd, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return core::SysError("read", name);
    if (count == 0) return {};
    MBX_RETURN_IF_ERROR(sink(std::string_view(buffer.data(), static_cast<size_t>(count))));
  }
}

// Of the bytes of an archive in the context.
StatusOr<std::string> HashArchive(int fd, const std::string& path, FileDigests& digests,
                                  const std::stop_token& stop) {
  struct ::stat st {};
  if (fstat(fd, &st) != 0) return core::SysError("fstat", path);
  if (!S_ISREG(st.st_mode)) return core::InvalidArgument("base", "is no regular file");
  if (auto known = digests.Find(st)) return *known;
  core::Sha256 hash;
  MBX_RETURN_IF_ERROR(ReadAllOf(fd, path, stop, [&](std::string_view bytes) {
    hash.Update(bytes);
    return Status();
  }));
  std::string digest = hash.FinishHex();
  digests.Remember(st, digest);
  return digest;
}

// A snapshot without a tree under this key says which image an archive became.
std::string ArchiveKey(std::string_view content) {
  return KeyHash("archive base").Add(content).Finish();
}

StatusOr<StoredImage> FindArchive(const StoreParts& store, const std::string& key) {
  const auto record = store.snapshots.Peek(key);
  if (!record) return core::NotFound("", "no such archive");
  const auto result = record->results.find(store::kManifestResult);
  if (result == record->results.end()) return core::NotFound("", "no such archive");
  MBX_ASSIGN_OR_RETURN(const Digest manifest, Digest::Parse(result->second));
  MBX_ASSIGN_OR_RETURN(StoredImage image, store.resolve_manifest(manifest));
  for (const auto& layer : image.manifest.layers) {
    if (!store.blobs.Exists(layer.digest)) return core::NotFound("", "a layer is gone");
  }
  return image;
}

// As BaseResolver, but looks only.
class BasePeeker {
 public:
  BasePeeker(const BaseName& name, const Platform& platform, const StoreParts& store,
             const SourceTree& context, FileDigests& digests, std::stop_token stop)
      : name_(name),
        platform_(platform),
        store_(store),
        context_(context),
        digests_(digests),
        stop_(std::move(stop)) {}

  StatusOr<std::optional<Base>> Peek() {
    if (name_.text.empty()) return std::optional<Base>();
    if (name_.scratch()) {
      std::optional<Base> base(std::in_place);
      base->config.platform = platform_;
      return base;
    }
    if (const auto reference = ImageRef::Parse(name_.text); reference.ok()) {
      const auto image = store_.resolve(reference->ToString());
      if (image.ok()) return Describe(*image);
    }
    if (!IsArchivePath(name_.text)) return std::optional<Base>();
    const auto matches = context_.Match(CleanPath(name_.text));
    if (!matches.ok() || matches->front().directory) return std::optional<Base>();
    MBX_ASSIGN_OR_RETURN(const core::Fd file, context_.root().OpenNoFollow(matches->front().path,
                                                                           O_RDONLY | O_NONBLOCK));
    MBX_ASSIGN_OR_RETURN(const std::string content,
                         HashArchive(file.get(), name_.text, digests_, stop_));
    const auto image = FindArchive(store_, ArchiveKey(content));
    if (!image.ok()) return std::optional<Base>();
    return Describe(*image);
  }

 private:
  std::optional<Base> Describe(const StoredImage& image) const {
    Base base;
    base.key = image.info.manifest.ToString();
    base.config = image.config;
    for (const auto& diff_id : image.config.diff_ids) {
      base.directories.push_back(core::StrCat(store::kExtracted, "/", diff_id.hex()));
    }
    return base;
  }

  const BaseName& name_;
  const Platform& platform_;
  const StoreParts& store_;
  const SourceTree& context_;
  FileDigests& digests_;
  std::stop_token stop_;
};

class BaseResolver {
 public:
  BaseResolver(const BaseName& name, const Platform& platform, const StoreParts& store,
               const SourceTree& context, store::Lease& lease, FileDigests& digests,
               const std::string& pull, const std::function<void(std::string)>& log,
               std::stop_token stop)
      : name_(name),
        platform_(platform),
        pull_(pull),
        wanted_(name.platform.empty() ? PlatformText(platform) : name.platform),
        store_(store),
        context_(context),
        lease_(lease),
        digests_(digests),
        log_(log),
        stop_(std::move(stop)) {}

  StatusOr<Base> Resolve() {
    if (name_.scratch()) {
      Base base;
      base.config.platform = platform_;
      return base;
    }
    const auto begin = std::chrono::steady_clock::now();
    MBX_ASSIGN_OR_RETURN(Base base, ResolveStored());
    const auto took = std::chrono::steady_clock::now() - begin;
    Log(core::StrCat("ready (", core::FormatDuration(took / std::chrono::nanoseconds(1)), ")"));
    return base;
  }

 private:
  void Log(std::string_view text) const {
    log_(core::StrCat("[base] ", core::EscapeControl(name_.text), ": ", text));
  }

  StatusOr<Base> ResolveStored() {
    const auto reference = ImageRef::Parse(name_.text);
    const bool may_pull = reference.ok() && !reference->is_local() && !IsArchivePath(name_.text) &&
                          store_.pull && pull_ != "never";
    std::optional<Digest> local;
    if (reference.ok()) {
      const auto image = store_.resolve(reference->ToString());
      if (!image.ok() && image.status().code() != StatusCode::kNotFound) return image.status();
      if (image.ok()) {
        local = image->info.manifest;
        const bool good = MatchesPlatform(wanted_, image->config.platform);
        // What a digest names cannot have changed.
        const bool ask = pull_ == "always" && reference->digest().empty();
        if (!may_pull && !good) {
          return core::FailedPrecondition(
              "", core::StrCat("the local image is for ", image->config.platform.os, "/",
                               image->config.platform.architecture, ", not for ", wanted_));
        }
        if (good && !(may_pull && ask)) {
          Log("using local image");
          auto base = FromImage(*image);
          if (!IsRemoved(base.status())) return base;
        }
      }
    }
    if (IsArchivePath(name_.text)) {
      const auto matches = context_.Match(CleanPath(name_.text));
      if (matches.ok() && !matches->front().directory) return FromArchive(matches->front().path);
      if (!matches.ok() && matches.status().code() != StatusCode::kNotFound) {
        return matches.status();
      }
      return core::NotFound("image_not_found",
                            "neither a local image nor an archive in the context");
    }
    if (!may_pull) return core::NotFound("image_not_found", "no local image of that name");
    // Others may remove it as soon as it is here.
    for (int attempt = 1;; ++attempt) {
      MBX_RETURN_IF_ERROR(store_.pull(*reference, wanted_, log_, stop_));
      const auto image = store_.resolve(reference->ToString());
      auto base = image.ok() ? FromImage(*image) : StatusOr<Base>(image.status());
      if (base.ok() && local == image->info.manifest) Log("already cached");
      if (!IsRemoved(base.status()) || attempt == kMaxPulls) return base;
    }
  }

  static bool IsRemoved(const Status& status) {
    return status.reason() == "image_not_found" || status.reason() == "blob_not_found";
  }

  StatusOr<Base> FromImage(const StoredImage& image) {
    const Digest& digest = image.info.manifest;
    store::LeaseItems items;
    items.Blob(digest).Blob(image.manifest.config.digest);
    for (const auto& layer : image.manifest.layers) items.Blob(layer.digest);
    for (const auto& diff_id : image.config.diff_ids) items.Layer(diff_id);
    MBX_RETURN_IF_ERROR(lease_.Add(items));
    // Until then it could be removed and collected.
    for (const std::string& blob : items.blobs) {
      if (store_.blobs.Exists(*Digest::Parse(blob))) continue;
      return core::NotFound("image_not_found",
                            core::StrCat("image ", digest.ToString(), " has just been removed"));
    }
    Base base;
    base.key = digest.ToString();
    MBX_ASSIGN_OR_RETURN(base.manifest, DescribeManifest(digest, image));
    base.layers = image.manifest.layers;
    for (auto& layer : base.layers) {
      layer.media_type = std::string(oci::ToOciLayerType(layer.media_type));
    }
    base.config = image.config;
    MBX_ASSIGN_OR_RETURN(base.directories, store_.ensure_layers(image, stop_));
    return base;
  }

  // As it stands in the index, which knows the media type.
  StatusOr<oci::Descriptor> DescribeManifest(const Digest& digest, const StoredImage& image) {
    MBX_ASSIGN_OR_RETURN(const auto entries, store_.references.List());
    for (auto entry : entries) {
      if (entry.digest != digest) continue;
      entry.annotations.clear();
      return entry;
    }
    MBX_ASSIGN_OR_RETURN(const uint64_t size, store_.blobs.Size(digest));
    return oci::Descriptor{.media_type = std::string(oci::kOciManifest),
                           .digest = digest,
                           .size = size,
                           .platform = image.config.platform};
  }

  // ----- archives -----

  // Keyed by content: a snapshot without a tree says which image it became.
  StatusOr<Base> FromArchive(const std::string& path) {
    MBX_ASSIGN_OR_RETURN(const core::Fd file,
                         context_.root().OpenNoFollow(path, O_RDONLY | O_NONBLOCK));
    MBX_ASSIGN_OR_RETURN(const std::string content, HashArchive(file.get(), path, digests_, stop_));
    const std::string key = ArchiveKey(content);
    MBX_RETURN_IF_ERROR(lease_.AddSnapshot(key));
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock,
                         store_.root->LockKey(core::StrCat("build/", key), stop_));
    if (auto known = FindArchive(store_, key); known.ok()) {
      Log("using cached archive extract");
      return FromImage(*known);
    }
    Log("extracting local archive...");
    MBX_ASSIGN_OR_RETURN(const Digest manifest, Ingest(file.get(), content));
    MBX_RETURN_IF_ERROR(RecordArchive(key, manifest));
    MBX_ASSIGN_OR_RETURN(const StoredImage image, store_.resolve_manifest(manifest));
    return FromImage(image);
  }

  Status RecordArchive(const std::string& key, const Digest& manifest) {
    MBX_RETURN_IF_ERROR(store_.snapshots.Remove(key));
    MBX_ASSIGN_OR_RETURN(const store::OperationDir operation, store_.root->NewOperation("build"));
    MBX_RETURN_IF_ERROR(operation.dir().MakeDir("tree", 0755));
    store::SnapshotRecord record{.instruction = core::StrCat("BASE ", name_.text), .empty = true};
    record.created = std::chrono::duration_cast<std::chrono::seconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
    record.results[store::kManifestResult] = manifest.ToString();
    return store_.snapshots.Publish(key, operation, "tree", record);
  }

  template <typename Sink>
  Status ReadAll(int fd, const Sink& sink) {
    return ReadAllOf(fd, name_.text, stop_, sink);
  }

  struct Survey {
    Digest diff_id;
    bool is_image;
    archive::Compression compression;
  };

  // Reads the whole archive once: what it is, and what its tar hashes to.
  StatusOr<Survey> SurveyArchive(int fd) {
    char head[16];
    const ssize_t count = pread(fd, head, sizeof head, 0);
    if (count < 0) return core::SysError("pread", name_.text);
    if (lseek(fd, 0, SEEK_SET) != 0) return core::SysError("lseek", name_.text);
    const auto compression =
        archive::DetectCompression(std::string_view(head, static_cast<size_t>(count)));
    archive::TarReader reader(archive::Decompress(archive::ReadFromFd(fd)));
    std::set<std::string> documents;
    archive::TarEntry entry;
    while (true) {
      if (stop_.stop_requested()) return core::Cancelled("reading the base");
      MBX_ASSIGN_OR_RETURN(const bool more, reader.Next(entry));
      if (!more) break;
      const std::string path = CleanPath(entry.path);
      const bool document = path == "index.json" || path == "oci-layout" ||
                            path == "manifest.json" || path == "meta.json";
      if (document && entry.type == archive::TarType::kFile) documents.insert(path);
    }
    MBX_ASSIGN_OR_RETURN(Digest diff_id, reader.Finish());
    const bool is_image = documents.contains("manifest.json") || documents.contains("meta.json") ||
                          (documents.contains("index.json") && documents.contains("oci-layout"));
    return Survey{std::move(diff_id), is_image, compression};
  }

  StatusOr<Digest> Ingest(int fd, const std::string& content) {
    MBX_ASSIGN_OR_RETURN(const Survey survey, SurveyArchive(fd));
    if (survey.is_image) return IngestImage(fd);
    return IngestRootFileSystem(fd, content, survey);
  }

  StatusOr<Digest> IngestImage(int fd) {
    if (lseek(fd, 0, SEEK_SET) != 0) return core::SysError("lseek", name_.text);
    Store store = store_.store;
    MBX_ASSIGN_OR_RETURN(const auto images, store.Load(fd, {}, stop_));
    for (const auto& image : images) {
      if (image.manifest == images.front().manifest) continue;
      return core::InvalidArgument("base", "the archive holds several images");
    }
    return images.front().manifest;
  }

  // The file itself becomes the only layer.
  StatusOr<Digest> IngestRootFileSystem(int fd, const std::string& content, const Survey& survey) {
    MBX_ASSIGN_OR_RETURN(const Digest blob, Digest::Parse("sha256:" + content));
    MBX_RETURN_IF_ERROR(lease_.AddBlob(blob));
    MBX_RETURN_IF_ERROR(lease_.AddLayer(survey.diff_id));
    MBX_ASSIGN_OR_RETURN(store::BlobWriter writer, store_.blobs.NewBlob());
    MBX_RETURN_IF_ERROR(
        ReadAll(fd, [&writer](std::string_view bytes) { return writer.Write(bytes); }));
    const uint64_t size = writer.size();
    MBX_RETURN_IF_ERROR(writer.Commit(blob).status());
    MBX_RETURN_IF_ERROR(store_.layers.EnsureUnpacked(blob, survey.diff_id, stop_).status());

    oci::ImageConfig config;
    config.created = core::FormatTime(TimePoint());
    config.platform = platform_;
    config.diff_ids = {survey.diff_id};
    config.history = {{.created = config.created, .created_by = "root file system archive"}};
    const std::string config_json = oci::SerializeImageConfig(config);
    MBX_ASSIGN_OR_RETURN(const Digest config_digest, store_.blobs.Put(config_json, &lease_));
    const auto media_type = survey.compression == archive::Compression::kGzip   ? oci::kOciLayerGzip
                            : survey.compression == archive::Compression::kZstd ? oci::kOciLayerZstd
                                                                                : oci::kOciLayerTar;
    const oci::Manifest manifest{
        .config = {.media_type = std::string(oci::kOciConfig),
                   .digest = config_digest,
                   .size = config_json.size()},
        .layers = {{.media_type = std::string(media_type), .digest = blob, .size = size}}};
    return store_.blobs.Put(oci::SerializeManifest(manifest), &lease_);
  }

  const BaseName& name_;
  const Platform& platform_;
  const std::string& pull_;   // "missing", "always", "never"
  const std::string wanted_;  // "linux/amd64"
  const StoreParts& store_;
  const SourceTree& context_;
  store::Lease& lease_;
  FileDigests& digests_;
  const std::function<void(std::string)>& log_;
  std::stop_token stop_;
};

}  // namespace

std::optional<oci::ImageConfig> PeekBaseConfig(const BaseName& name, const StoreParts& store) {
  if (name.text.empty()) return std::nullopt;
  if (name.scratch()) {
    oci::ImageConfig config;
    config.platform = oci::HostPlatform();
    return config;
  }
  const auto reference = ImageRef::Parse(name.text);
  if (!reference.ok()) return std::nullopt;
  auto image = store.resolve(reference->ToString());
  if (!image.ok()) return std::nullopt;
  return std::move(image->config);
}

StatusOr<std::optional<Base>> PeekBase(const BaseName& name, const Platform& platform,
                                       const StoreParts& store, const SourceTree& context,
                                       FileDigests& digests, std::stop_token stop) {
  return BasePeeker(name, platform, store, context, digests, std::move(stop)).Peek();
}

StatusOr<Base> ResolveBase(const BaseName& name, const Platform& platform, const StoreParts& store,
                           const SourceTree& context, store::Lease& lease, FileDigests& digests,
                           const std::string& pull, const std::function<void(std::string)>& log,
                           std::stop_token stop) {
  auto base =
      BaseResolver(name, platform, store, context, lease, digests, pull, log, std::move(stop))
          .Resolve();
  if (!base.ok()) {
    return base.status().WithContext(core::StrCat("base '", core::EscapeControl(name.text), "'"));
  }
  return base;
}

}  // namespace minibox::build
