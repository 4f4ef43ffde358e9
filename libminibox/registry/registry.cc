// SPDX-License-Identifier: Apache-2.0
#include "minibox/registry.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread.h"
#include "registry/push.h"
#include "registry/registry_impl.h"
#include "registry/remote.h"
#include "registry/retry.h"
#include "registry/transfer_events.h"
#include "store/lookup.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr int kMaxParallel = 64;

Status LocalName(const ImageRef& image) {
  return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                     core::StrCat("'", image.Shown(), "' is a name of this host only"));
}

bool Lists(const std::vector<std::string>& hosts, std::string_view host) {
  return std::any_of(hosts.begin(), hosts.end(),
                     [&](const std::string& h) { return core::EqualsIgnoreCase(h, host); });
}

// As it stands in references and lists: without the scheme's own port.
std::string HostOf(const registry::Origin& origin) {
  const int usual = origin.scheme == "https" ? 443 : 80;
  return origin.port == usual ? origin.host : core::StrCat(origin.host, ":", origin.port);
}

StatusOr<std::shared_ptr<registry::HttpClient>> MakeHttp(const RegistryOptions& options) {
  return registry::HttpClient::Create({.https_proxy = options.https_proxy,
                                       .http_proxy = options.http_proxy,
                                       .no_proxy = options.no_proxy,
                                       .ca_file = options.ca_file.native(),
                                       .connect_timeout = options.connect_timeout,
                                       .idle_timeout = options.idle_timeout});
}

// Runs `work` on a thread that takes no signals, and hands on what it has to say meanwhile.
template <typename Work>
auto RunWithEvents(const char* name, const TransferLogFn& log, const ProgressFn& progress,
                   const Work& work) {
  registry::TransferEvents events;
  std::optional<decltype(work(events))> result;
  std::thread worker = core::StartThread(name, [&] {
    result.emplace(work(events));
    events.Close();
  });
  events.Deliver(log, progress);
  worker.join();
  return std::move(*result);
}

void SayEnd(const TransferLogFn& log, std::string_view operation, const Status& status) {
  if (!log) return;
  if (status.ok()) return log(core::StrCat("[", operation, "] Done"));
  log(core::StrCat("[error] ", operation, " failed: ", core::EscapeControl(status.message())));
}

}  // namespace

Registry::Impl::Impl(Store handle, const RegistryOptions& given,
                     std::shared_ptr<registry::HttpClient> client)
    : store(std::move(handle)),
      parts{.root = store.impl_->root,
            .blobs = store.impl_->blobs,
            .references = store.impl_->references,
            .layers = store.impl_->layers,
            .leases = store.impl_->leases,
            .partial = store::PartialBlobs(store.impl_->root),
            .describe = [impl = store.impl_](const oci::Descriptor& entry) -> StatusOr<ImageInfo> {
              MBX_ASSIGN_OR_RETURN(Store::Impl::Image image, impl->Describe(entry));
              return std::move(image.info);
            }},
      options(given),
      http(std::move(client)) {}

bool Registry::Impl::IsInsecure(const std::string& host) const {
  return Lists(options.insecure, host);
}

StatusOr<std::unique_ptr<registry::Remote>> Registry::Impl::MakeRemote(
    const ImageRef& image, const std::string& actions,
    const std::optional<Credentials>& credentials) const {
  registry::RemoteOptions remote{.host = image.registry(), .repository = image.repository()};
  remote.scopes = {core::StrCat("repository:", image.repository(), ":", actions)};
  remote.insecure = IsInsecure(image.registry());
  if (credentials) {
    remote.credentials = *credentials;
  } else {
    MBX_ASSIGN_OR_RETURN(remote.credentials, FindCredentials(options.auth_file, image.registry()));
  }
  return std::make_unique<registry::Remote>(http, tokens, std::move(remote));
}

StatusOr<registry::Sources> Registry::Impl::MakeSources(
    const ImageRef& image, const std::optional<Credentials>& credentials) const {
  registry::Sources sources{.retry_delay = options.retry_delay};
  for (const RegistryMirror& mirror : options.mirrors) {
    if (mirror.registry != image.registry()) continue;
    MBX_ASSIGN_OR_RETURN(const registry::Origin origin, registry::OriginOf(mirror.url));
    registry::RemoteOptions remote{
        .host = HostOf(origin), .base = mirror.url, .repository = image.repository()};
    remote.scopes = {core::StrCat("repository:", image.repository(), ":pull")};
    remote.insecure = IsInsecure(remote.host);
    MBX_ASSIGN_OR_RETURN(remote.credentials, FindCredentials(options.auth_file, remote.host));
    sources.list.push_back(std::make_unique<registry::Source>(
        std::make_unique<registry::Remote>(http, tokens, std::move(remote))));
  }
  MBX_ASSIGN_OR_RETURN(auto remote, MakeRemote(image, "pull", credentials));
  sources.list.push_back(std::make_unique<registry::Source>(std::move(remote)));
  return sources;
}

StatusOr<ImageInfo> Registry::Impl::Pull(const registry::PullRequest& request,
                                         const std::optional<Credentials>& credentials,
                                         const TransferLogFn& log, const ProgressFn& progress,
                                         std::stop_token stop) const {
  if (request.image.is_local()) return LocalName(request.image);
  MBX_ASSIGN_OR_RETURN(const registry::Sources sources, MakeSources(request.image, credentials));
  return RunWithEvents("mbx-pull", log, progress, [&](registry::TransferEvents& events) {
    return registry::PullImage(request, parts, sources, events, stop);
  });
}

Status Registry::CheckOptions(const RegistryOptions& options) {
  if (options.max_parallel_layers < 1 || options.max_parallel_layers > kMaxParallel) {
    return core::InvalidArgument("max_parallel_layers",
                                 core::StrCat("must be 1 to ", kMaxParallel));
  }
  const std::pair<const char*, std::chrono::milliseconds> times[] = {
      {"connect_timeout", options.connect_timeout},
      {"idle_timeout", options.idle_timeout},
      {"retry_delay", options.retry_delay}};
  for (const auto& [name, time] : times) {
    if (time.count() <= 0) return core::InvalidArgument(name, "must be positive");
  }
  for (const std::string& host : options.insecure) {
    if (!registry::OriginOf(core::StrCat("https://", host)).ok() ||
        host.find('/') != std::string::npos) {
      return core::InvalidArgument(
          "insecure", core::StrCat("'", core::EscapeControl(host), "' is no host[:port]"));
    }
  }
  for (const RegistryMirror& mirror : options.mirrors) {
    const auto origin = registry::OriginOf(mirror.url);
    if (mirror.registry.empty() || !origin.ok()) {
      return core::InvalidArgument("mirrors", "must be <registry>=<base URL>");
    }
    if (origin->scheme == "http" && !registry::IsLoopback(origin->host) &&
        !Lists(options.insecure, HostOf(*origin))) {
      return core::InvalidArgument(
          "mirrors", core::StrCat("'", core::EscapeControl(mirror.url),
                                  "' is plain HTTP, and its host is not listed as insecure"));
    }
  }
  return Status();
}

Registry::Registry(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<Registry> Registry::Open(Store store, const RegistryOptions& options) {
  MBX_RETURN_IF_ERROR(CheckOptions(options));
  MBX_ASSIGN_OR_RETURN(auto http, MakeHttp(options));
  return Registry(std::make_shared<Impl>(std::move(store), options, std::move(http)));
}

StatusOr<ImageInfo> Registry::Pull(const ImageRef& image, const PullOptions& options,
                                   std::stop_token stop) {
  const registry::PullRequest request{.image = image,
                                      .platform = options.platform,
                                      .max_parallel_layers = impl_->options.max_parallel_layers};
  auto info =
      impl_->Pull(request, options.credentials, options.log, options.progress, std::move(stop));
  SayEnd(options.log, "pull", info.status());
  return info;
}

Status Registry::Push(std::string_view image, const PushOptions& options, std::stop_token stop) {
  const auto push = [&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const auto entries, impl_->parts.references.List());
    MBX_ASSIGN_OR_RETURN(const store::Found found,
                         store::FindImage(impl_->parts.blobs, entries, image));
    auto as = options.as ? StatusOr<ImageRef>(*options.as)
                         : ImageRef::Parse(store::NormalisedName(found.entry));
    if (!as.ok()) {
      return core::Error(StatusCode::kInvalidArgument, "invalid_reference",
                         core::StrCat("image '", core::EscapeControl(image), "' has no name"));
    }
    if (as->is_local()) return LocalName(*as);
    MBX_ASSIGN_OR_RETURN(const auto remote,
                         impl_->MakeRemote(*as, "pull,push", options.credentials));
    const registry::PushRequest request{.entry = found.entry,
                                        .as = *as,
                                        .max_parallel_layers = impl_->options.max_parallel_layers,
                                        .retry_delay = impl_->options.retry_delay};
    return RunWithEvents("mbx-push", options.log, options.progress,
                         [&](registry::TransferEvents& events) {
                           return registry::PushImage(request, impl_->parts, *remote, events, stop);
                         });
  };
  const Status status = push();
  SayEnd(options.log, "push", status);
  return status;
}

Status Registry::CheckCredentials(std::string_view host, const Credentials& credentials,
                                  const RegistryOptions& options, std::stop_token stop) {
  MBX_RETURN_IF_ERROR(CheckOptions(options));
  // Only a host that a reference could name.
  const auto image = ImageRef::Parse(core::StrCat(host, "/x"));
  if (!image.ok() || image->repository() == core::StrCat(host, "/x")) {
    return core::InvalidArgument("registry", "must be host[:port]");
  }
  MBX_ASSIGN_OR_RETURN(const auto http, MakeHttp(options));
  registry::Remote remote(http, std::make_shared<registry::TokenCache>(),
                          {.host = image->registry(),
                           .credentials = credentials,
                           .insecure = Lists(options.insecure, image->registry())});
  return RunWithEvents("mbx-login", {}, {}, [&](registry::TransferEvents&) {
    return registry::Judge(remote.Send({}, stop), image->registry()).status;
  });
}

}  // namespace v1
}  // namespace minibox
