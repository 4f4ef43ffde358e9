// SPDX-License-Identifier: Apache-2.0
#include "registry/pull.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/json.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread_pool.h"
#include "oci/digest.h"
#include "oci/image_config.h"
#include "oci/media_types.h"
#include "registry/platform.h"
#include "registry/pull_layer.h"
#include "registry/source_repositories.h"
#include "store/kept_leases.h"
#include "store/lookup.h"

namespace minibox::registry {
namespace {

using std::chrono::milliseconds;

constexpr size_t kMaxManifestBytes = 4u << 20;
constexpr uint64_t kMaxConfigBytes = 8u << 20;
constexpr char kAccept[] =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

Status Refused(StatusCode code, std::string message) {
  return core::Error(code, "registry_error", std::move(message));
}

// The lines of a pull, as users see them or as a build says them.
class Lines {
 public:
  Lines(TransferEvents& events, std::string image, bool is_base)
      : events_(events), image_(std::move(image)), is_base_(is_base) {}

  template <typename... Args>
  void Both(const Args&... args) const {
    events_.Line(core::StrCat(is_base_ ? "[base] " : "[pull] ", args...));
  }
  template <typename... Args>
  void Pull(const Args&... args) const {
    if (!is_base_) Both(args...);
  }
  template <typename... Args>
  void Base(const Args&... args) const {
    if (is_base_) Both(args...);
  }
  const std::string& image() const { return image_; }

  RetryingFn Retrying(std::string what) const {
    return [this, what = std::move(what)](const Status& why, milliseconds delay, int attempt) {
      Both(what, " download failed (", core::EscapeControl(why.message()), "), retrying in ",
           core::FormatDuration(std::chrono::nanoseconds(delay).count()), " (attempt ", attempt,
           "/", Retry::kAttempts, ")...");
    };
  }
  std::string BlobName(const Digest& digest, bool layer) const {
    return core::StrCat(is_base_ && layer ? "layer " : "blob ", Short(digest));
  }

 private:
  TransferEvents& events_;
  const std::string image_;
  const bool is_base_;
};

struct Document {
  std::string text;
  Digest digest;
  std::string media_type{};
};

// By what the document is, not by what headers say.
StatusOr<std::string> MediaTypeOf(std::string_view text) {
  const auto root = json::Parse(text, {.max_bytes = kMaxManifestBytes});
  if (!root.ok()) return Refused(StatusCode::kDataLoss, "the manifest is no JSON");
  const auto version = root->GetInt("schemaVersion", 2);
  if (version.ok() && *version == 1) {
    return Refused(StatusCode::kFailedPrecondition,
                   "the image has a schema 1 manifest, which is not supported");
  }
  const auto type = root->GetString("mediaType", "");
  if (!type.ok()) return Refused(StatusCode::kDataLoss, type.status().message());
  if (!type->empty()) {
    if (oci::IsManifest(*type) || oci::IsIndex(*type)) return *type;
    return Refused(StatusCode::kFailedPrecondition,
                   core::StrCat("'", core::EscapeControl(*type), "' is no container image"));
  }
  return std::string(root->Get("manifests").empty() ? oci::kOciManifest : oci::kOciIndex);
}

bool IsImageConfig(std::string_view type) {
  return type == oci::kOciConfig || type == oci::kDockerConfig;
}

bool IsLayer(std::string_view type) {
  static constexpr std::string_view kForeign[] = {
      "application/vnd.oci.image.layer.nondistributable.v1.tar",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
      "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
      "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"};
  static constexpr std::string_view kOwn[] = {oci::kOciLayerTar,     oci::kOciLayerGzip,
                                              oci::kOciLayerZstd,    oci::kDockerLayerTar,
                                              oci::kDockerLayerGzip, oci::kDockerLayerZstd};
  return std::find(std::begin(kForeign), std::end(kForeign), type) != std::end(kForeign) ||
         std::find(std::begin(kOwn), std::end(kOwn), type) != std::end(kOwn);
}

class Puller {
 public:
  Puller(const PullRequest& request, const StoreParts& store, const Sources& sources,
         TransferEvents& events, std::stop_token stop)
      : request_(request),
        store_(store),
        sources_(sources),
        events_(events),
        lines_(events, request.image.Shown(), request.is_base),
        want_(WantedPlatform(request.platform)),
        stop_(std::move(stop)) {}

  StatusOr<ImageInfo> Run() {
    MBX_ASSIGN_OR_RETURN(store::Lease lease, AcquireLease());
    lines_.Both("fetching ", lines_.image(), " manifest...");
    Report(lines_.image(), Progress::Phase::kResolving, 0, 0);
    const auto fetched = FetchTop();
    if (!fetched.ok()) return Named(fetched.status());
    const Document& top = *fetched;
    const auto resolved = ResolveIndex(top);
    if (!resolved.ok()) return Named(resolved.status());
    const Document& document = *resolved;
    MBX_ASSIGN_OR_RETURN(const oci::Manifest manifest, ParseManifest(document));
    lines_.Pull("manifest: ", Short(document.digest));
    lines_.Base(lines_.image(), " has ", manifest.layers.size(), " layers");
    store::LeaseItems items;
    items.Blob(document.digest).Blob(manifest.config.digest);
    for (const oci::Descriptor& layer : manifest.layers) items.Blob(layer.digest);
    MBX_RETURN_IF_ERROR(lease.Add(items));
    MBX_ASSIGN_OR_RETURN(const oci::ImageConfig config, FetchConfig(manifest));
    for (const Digest& diff_id : config.diff_ids) items.Layer(diff_id);
    MBX_RETURN_IF_ERROR(lease.Add(items));
    MBX_RETURN_IF_ERROR(FetchLayers(manifest, config));
    MBX_ASSIGN_OR_RETURN(const oci::Descriptor entry, Register(top, document, config));
    lease.Complete();
    store_.root->events().Emit("image.pull", entry.digest.ToString(), {{"name", lines_.image()}});
    if (const Status forgotten = store::ForgetKeptLeases(*store_.root, Operation());
        !forgotten.ok()) {
      core::LogDebug("registry", core::StrCat("leases: ", forgotten.message(), ", ignoring"));
    }
    lines_.Pull("successfully pulled ", lines_.image());
    Report(lines_.image(), Progress::Phase::kDone, 1, 1);
    MBX_ASSIGN_OR_RETURN(ImageInfo info, store_.describe(entry));
    return info;
  }

 private:
  std::string Operation() const { return core::StrCat("pull ", request_.image.ToString()); }

  // What a failed or cancelled pull has fetched stays for the next one (spec §9.2).
  StatusOr<store::Lease> AcquireLease() const {
    return store_.leases.Acquire(Operation(), {}, store::PartialBlobs::kKept);
  }

  void Report(const std::string& subject, Progress::Phase phase, uint64_t done,
              uint64_t total) const {
    events_.Report({phase, subject, done, total});
  }

  // Of a manifest that could not be had: the image is what a user knows it by.
  Status Named(const Status& why) const {
    const bool named = why.message().find(lines_.image()) != std::string_view::npos;
    return named || why.code() == StatusCode::kCancelled ? why : why.WithContext(lines_.image());
  }

  StatusOr<Document> FetchTop() {
    const ImageRef& image = request_.image;
    std::optional<Digest> digest;
    if (!image.digest().empty()) {
      MBX_ASSIGN_OR_RETURN(digest, Digest::Parse(image.digest()));
    }
    return FetchDocument(digest ? digest->ToString() : image.tag(), digest);
  }

  StatusOr<Document> FetchDocument(const std::string& reference,
                                   const std::optional<Digest>& digest) {
    std::string text;
    const Status fetched = TrySources(
        sources_,
        [&](Remote& remote) {
          HttpRequest request{.url = core::StrCat("manifests/", reference)};
          request.headers.emplace_back("Accept", kAccept);
          request.max_body = kMaxManifestBytes;
          auto response = remote.Send(std::move(request), stop_);
          Outcome outcome = Judge(response, lines_.image());
          if (outcome.status.ok()) text = std::move(response->body);
          return outcome;
        },
        lines_.Retrying("manifest"), stop_);
    if (fetched.code() == StatusCode::kNotFound) return fetched.WithReason("image_not_found");
    MBX_RETURN_IF_ERROR(fetched);
    Document document{std::move(text), oci::DigestOf("")};
    document.digest = oci::DigestOf(document.text);
    if (digest && document.digest != *digest) {
      return Refused(StatusCode::kDataLoss, core::StrCat("manifest is ", document.digest.ToString(),
                                                         ", expected ", digest->ToString()));
    }
    MBX_ASSIGN_OR_RETURN(document.media_type, MediaTypeOf(document.text));
    return document;
  }

  StatusOr<Document> ResolveIndex(const Document& top) {
    if (!oci::IsIndex(top.media_type)) return top;
    lines_.Both(lines_.image(), " is a manifest list, resolving ", want_.architecture, "/",
                want_.os, "...");
    const auto index = oci::ParseIndex(top.text);
    if (!index.ok()) return Refused(StatusCode::kDataLoss, index.status().message());
    const auto entry = SelectEntry(*index, want_);
    if (!entry.ok()) return entry.status().WithContext(lines_.image());
    MBX_ASSIGN_OR_RETURN(Document document, FetchDocument(entry->digest.ToString(), entry->digest));
    if (document.text.size() != entry->size) {
      return Refused(StatusCode::kDataLoss,
                     core::StrCat("manifest ", Short(document.digest), " has ",
                                  document.text.size(), " bytes, expected ", entry->size));
    }
    return document;
  }

  StatusOr<oci::Manifest> ParseManifest(const Document& document) const {
    auto manifest = oci::ParseManifest(document.text);
    const std::string name = core::StrCat("manifest ", Short(document.digest));
    if (!manifest.ok()) {
      return Refused(StatusCode::kDataLoss, core::StrCat(name, ": ", manifest.status().message()));
    }
    if (!IsImageConfig(manifest->config.media_type)) {
      return Refused(StatusCode::kFailedPrecondition,
                     core::StrCat(name, ": '", core::EscapeControl(manifest->config.media_type),
                                  "' is no container image"));
    }
    if (manifest->config.size > kMaxConfigBytes) {
      return Refused(StatusCode::kDataLoss, core::StrCat(name, ": the config exceeds 8 MiB"));
    }
    std::map<Digest, uint64_t> sizes;
    for (const oci::Descriptor& layer : manifest->layers) {
      if (!IsLayer(layer.media_type)) {
        return Refused(StatusCode::kFailedPrecondition,
                       core::StrCat(name, ": '", core::EscapeControl(layer.media_type),
                                    "' is no layer of a container image"));
      }
      if (sizes.emplace(layer.digest, layer.size).first->second != layer.size) {
        return Refused(StatusCode::kDataLoss,
                       core::StrCat(name, ": two sizes of layer ", Short(layer.digest)));
      }
    }
    return manifest;
  }

  StatusOr<oci::ImageConfig> FetchConfig(const oci::Manifest& manifest) {
    const Digest& digest = manifest.config.digest;
    lines_.Pull("pulling config ", Short(digest), "...");
    lines_.Base("fetching config blob ", Short(digest), "...");
    BlobJobEvents events;
    events.retrying = lines_.Retrying(lines_.BlobName(digest, /*layer=*/false));
    MBX_RETURN_IF_ERROR(
        FetchIntoStore({.descriptor = manifest.config}, store_, sources_, events, stop_));
    MBX_ASSIGN_OR_RETURN(const std::string text, store_.blobs.Read(digest, kMaxConfigBytes));
    auto config = oci::ParseImageConfig(text);
    const std::string name = core::StrCat("config ", Short(digest));
    if (!config.ok()) {
      return Refused(StatusCode::kDataLoss, core::StrCat(name, ": ", config.status().message()));
    }
    if (config->diff_ids.size() != manifest.layers.size()) {
      return Refused(StatusCode::kDataLoss,
                     core::StrCat(name, ": ", config->diff_ids.size(), " diff_ids for ",
                                  manifest.layers.size(), " layers"));
    }
    // Without an index there is no choice; what was asked for must not be replaced by something
    // else, though.
    if (!request_.platform.architecture.empty() && !IsFor(config->platform, want_)) {
      return Refused(StatusCode::kNotFound,
                     core::StrCat(lines_.image(), ": no image for ", PlatformText(want_),
                                  "; there is ", PlatformText(config->platform)));
    }
    return config;
  }

  // Layers of the images in the store, with what they unpack to.
  void FindKnownPairs() {
    const auto entries = store_.references.List();
    if (!entries.ok()) return;  // then they are checked once more
    for (const oci::Descriptor& entry : *entries) {
      const auto manifest = store::ReadManifest(store_.blobs, entry.digest);
      if (!manifest.ok()) continue;
      const auto config = store::ReadConfig(store_.blobs, *manifest);
      if (!config.ok() || config->diff_ids.size() != manifest->layers.size()) continue;
      for (size_t i = 0; i < manifest->layers.size(); ++i) {
        known_.emplace(manifest->layers[i].digest, config->diff_ids[i]);
      }
    }
  }

  Status FetchLayers(const oci::Manifest& manifest, const oci::ImageConfig& config) {
    const auto is_here = [&](const oci::Descriptor& layer) {
      return store_.blobs.Exists(layer.digest);
    };
    if (std::any_of(manifest.layers.begin(), manifest.layers.end(), is_here)) FindKnownPairs();
    // After the first failure the others stop; what they have stays for the next attempt.
    std::stop_source abort;
    const std::stop_callback forward(stop_, [&abort] { abort.request_stop(); });
    std::mutex mutex;
    Status first;
    {
      const auto count = static_cast<int>(manifest.layers.size());
      core::ThreadPool pool(std::clamp(count, 1, request_.max_parallel_layers));
      std::set<std::pair<Digest, Digest>> begun;
      for (size_t i = 0; i < manifest.layers.size(); ++i) {
        if (!begun.emplace(manifest.layers[i].digest, config.diff_ids[i]).second) continue;
        pool.Submit([&, i] {
          if (abort.stop_requested()) return;
          const Status status = FetchLayer(manifest.layers[i], config.diff_ids[i], i + 1,
                                           manifest.layers.size(), abort.get_token());
          if (status.ok()) return;
          {
            const std::lock_guard lock(mutex);
            if (first.ok()) first = status;
          }
          abort.request_stop();
        });
      }
    }
    if (stop_.stop_requested()) return core::Cancelled("pull");
    return first;
  }

  Status FetchLayer(const oci::Descriptor& layer, const Digest& diff_id, size_t number,
                    size_t count, const std::stop_token& stop) {
    const std::string position = core::StrCat("layer ", number, "/", count);
    BlobJobEvents events;
    events.begun = [&](bool exists) {
      if (exists) {
        lines_.Pull(position, " (", Short(layer.digest), ") already exists");
      } else {
        lines_.Both("pulling ", position, " (", Short(layer.digest), ")...");
      }
      if (!store_.layers.Exists(diff_id)) lines_.Base("extracting ", position, "...");
    };
    events.progress = [&](Progress::Phase phase, uint64_t done) {
      Report(layer.digest.ToString(), phase, done, layer.size);
    };
    events.retrying = lines_.Retrying(lines_.BlobName(layer.digest, /*layer=*/true));
    const BlobJob job{layer, diff_id, known_.contains({layer.digest, diff_id})};
    return FetchIntoStore(job, store_, sources_, events, stop);
  }

  StatusOr<oci::Descriptor> Register(const Document& top, const Document& document,
                                     const oci::ImageConfig& config) {
    if (stop_.stop_requested()) return core::Cancelled("pull");
    MBX_RETURN_IF_ERROR(store_.blobs.Put(document.text).status());
    lines_.Pull("registering ", lines_.image(), " in index.json...");
    oci::Descriptor entry{document.media_type, document.digest, document.text.size()};
    entry.platform = config.platform;
    entry.annotations[std::string(store::kSourceDigest)] = top.digest.ToString();
    MBX_FAILPOINT("pull.register");
    MBX_RETURN_IF_ERROR(
        store_.references.Update([&](std::vector<oci::Descriptor>& entries) -> Status {
          RememberRepository(entries, request_.image, &entry);
          store::SetNames(entries, entry, {request_.image});
          return Status();
        }));
    entry.annotations[std::string(store::kRefName)] = request_.image.Shown();
    entry.annotations[std::string(store::kImageName)] = request_.image.ToString();
    return entry;
  }

  const PullRequest& request_;
  const StoreParts& store_;
  const Sources& sources_;
  TransferEvents& events_;
  const Lines lines_;
  const Platform want_;
  const std::stop_token stop_;
  std::set<std::pair<Digest, Digest>> known_;
};

}  // namespace

StatusOr<ImageInfo> PullImage(const PullRequest& request, const StoreParts& store,
                              const Sources& sources, TransferEvents& events,
                              std::stop_token stop) {
  return Puller(request, store, sources, events, std::move(stop)).Run();
}

}  // namespace minibox::registry
