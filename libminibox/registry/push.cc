// SPDX-License-Identifier: Apache-2.0
#include "registry/push.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread_pool.h"
#include "registry/retry.h"
#include "registry/source_repositories.h"
#include "registry/upload_blob.h"

namespace minibox::registry {
namespace {

constexpr size_t kMaxManifestBytes = 4u << 20;

std::string Short(const Digest& digest) { return std::string(digest.hex().substr(0, 12)); }

class Pusher {
 public:
  Pusher(const PushRequest& request, const StoreParts& store, Remote& remote,
         TransferEvents& events, std::stop_token stop)
      : request_(request),
        store_(store),
        remote_(remote),
        events_(events),
        image_(request.as.Shown()),
        stop_(std::move(stop)) {}

  Status Run() {
    const Digest& digest = request_.entry.digest;
    Line("preparing ", image_);
    MBX_ASSIGN_OR_RETURN(store::Lease lease, store_.leases.Acquire(core::StrCat("push ", image_)));
    MBX_RETURN_IF_ERROR(lease.AddBlob(digest));
    MBX_ASSIGN_OR_RETURN(const std::string text, store_.blobs.Read(digest, kMaxManifestBytes));
    MBX_ASSIGN_OR_RETURN(const oci::Manifest manifest, oci::ParseManifest(text));
    store::LeaseItems items;
    items.Blob(manifest.config.digest);
    for (const oci::Descriptor& layer : manifest.layers) items.Blob(layer.digest);
    MBX_RETURN_IF_ERROR(lease.Add(items));
    MBX_RETURN_IF_ERROR(PushLayers(manifest));
    Line("pushing config ", Short(manifest.config.digest), "...");
    MBX_RETURN_IF_ERROR(PushBlob(manifest.config).status());
    Line("manifest: ", Short(digest));
    MBX_RETURN_IF_ERROR(PutManifest(text));
    MBX_RETURN_IF_ERROR(Remember());
    store_.root->events().Emit("image.push", digest.ToString(), {{"name", image_}});
    Line("successfully pushed ", image_);
    return Status();
  }

 private:
  template <typename... Args>
  void Line(const Args&... args) const {
    events_.Line(core::StrCat("[push] ", args...));
  }

  Status PushLayers(const oci::Manifest& manifest) {
    std::stop_source abort;
    const std::stop_callback forward(stop_, [&abort] { abort.request_stop(); });
    std::mutex mutex;
    Status first;
    {
      const size_t count = manifest.layers.size();
      core::ThreadPool pool(std::clamp(static_cast<int>(count), 1, request_.max_parallel_layers));
      std::set<Digest> begun;
      for (size_t i = 0; i < count; ++i) {
        if (!begun.insert(manifest.layers[i].digest).second) continue;
        pool.Submit([&, i] {
          if (abort.stop_requested()) return;
          const Status status =
              PushLayer(manifest.layers[i], core::StrCat(i + 1, "/", count), abort.get_token());
          if (status.ok()) return;
          {
            const std::lock_guard lock(mutex);
            if (first.ok()) first = status;
          }
          abort.request_stop();
        });
      }
    }
    if (stop_.stop_requested()) return core::Cancelled("push");
    return first;
  }

  Status PushLayer(const oci::Descriptor& layer, const std::string& position,
                   const std::stop_token& stop) {
    const std::string name = core::StrCat("layer ", position, " (", Short(layer.digest), ")");
    Line(name, " pushing...");
    auto uploaded = PushBlob(layer, stop);
    if (!uploaded.ok()) {
      return uploaded.status().code() == StatusCode::kCancelled
                 ? uploaded.status()
                 : uploaded.status().WithContext(core::StrCat("layer ", position));
    }
    if (uploaded->existed) {
      Line(name, " already exists");
    } else if (!uploaded->mounted_from.empty()) {
      Line(name, " mounted from ", core::EscapeControl(uploaded->mounted_from));
    } else {
      Line(name, " pushed");
    }
    return Status();
  }

  StatusOr<Uploaded> PushBlob(const oci::Descriptor& blob) { return PushBlob(blob, stop_); }
  StatusOr<Uploaded> PushBlob(const oci::Descriptor& blob, const std::stop_token& stop) {
    MBX_ASSIGN_OR_RETURN(const core::Fd fd, store_.blobs.Open(blob.digest));
    const auto report = [&](Progress::Phase phase, uint64_t done) {
      events_.Report({phase, blob.digest.ToString(), done, blob.size});
    };
    UploadJob job{.descriptor = blob,
                  .fd = fd.get(),
                  .known_in = KnownIn(blob.digest),
                  .retry_delay = request_.retry_delay,
                  .progress = [&](uint64_t sent) { report(Progress::Phase::kTransferring, sent); }};
    auto uploaded = UploadBlob(job, remote_, stop);
    if (uploaded.ok()) report(Progress::Phase::kDone, blob.size);
    return uploaded;
  }

  // Other repositories of the registry that some image in the store was in with this blob.
  std::vector<std::string> KnownIn(const Digest& blob) {
    std::call_once(known_once_, [this] {
      const auto entries = store_.references.List();
      if (!entries.ok()) return;  // then everything is uploaded
      for (const oci::Descriptor& entry : *entries) {
        const auto repositories = KnownRepositories(entry, request_.as);
        if (repositories.empty()) continue;
        const auto text = store_.blobs.Read(entry.digest, kMaxManifestBytes);
        const auto manifest = text.ok() ? oci::ParseManifest(*text) : text.status();
        if (!manifest.ok()) continue;
        for (const auto& layer : manifest->layers) {
          known_[layer.digest].insert(repositories.begin(), repositories.end());
        }
      }
    });
    const auto found = known_.find(blob);
    if (found == known_.end()) return {};
    return {found->second.begin(), found->second.end()};
  }

  Status PutManifest(const std::string& text) {
    const Digest& digest = request_.entry.digest;
    const std::string reference =
        request_.as.digest().empty() ? request_.as.tag() : request_.as.digest();
    Retry retry(request_.retry_delay);
    while (true) {
      HttpRequest request{.method = "PUT", .url = core::StrCat("manifests/", reference)};
      request.headers.emplace_back("Content-Type", request_.entry.media_type);
      request.body = text;
      const auto response = remote_.Send(std::move(request), stop_);
      const Outcome outcome = Judge(response, "manifest");
      if (outcome.status.ok()) {
        const auto theirs = response->Header("docker-content-digest");
        if (!theirs || *theirs == digest.ToString()) return Status();
        return core::Error(StatusCode::kDataLoss, "registry_error",
                           core::StrCat("the registry made ", core::EscapeControl(*theirs),
                                        " of manifest ", digest.ToString()));
      }
      const auto delay = retry.After(outcome);
      if (!delay) return outcome.status;
      MBX_RETURN_IF_ERROR(Wait(*delay, stop_));
    }
  }

  Status Remember() const {
    return store_.references.Update([&](std::vector<oci::Descriptor>& entries) {
      for (oci::Descriptor& entry : entries) {
        if (entry.digest == request_.entry.digest) {
          RememberRepository(entries, request_.as, &entry);
        }
      }
      return Status();
    });
  }

  const PushRequest& request_;
  const StoreParts& store_;
  Remote& remote_;
  TransferEvents& events_;
  const std::string image_;
  const std::stop_token stop_;
  std::once_flag known_once_;
  std::map<Digest, std::set<std::string>> known_;
};

}  // namespace

Status PushImage(const PushRequest& request, const StoreParts& store, Remote& remote,
                 TransferEvents& events, std::stop_token stop) {
  return Pusher(request, store, remote, events, std::move(stop)).Run();
}

}  // namespace minibox::registry
