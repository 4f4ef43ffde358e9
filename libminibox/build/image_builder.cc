// SPDX-License-Identifier: Apache-2.0
#include "minibox/image_builder.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "build/build_check.h"
#include "build/build_log.h"
#include "build/build_session.h"
#include "build/build_state.h"
#include "build/describe_plan.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/thread.h"
#include "registry/registry_impl.h"
#include "runtime/runtime_impl.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {

struct ImageBuilder::Impl {
  Impl(Store store_handle, Runtime runtime_handle, const BuilderOptions& options)
      : store(std::move(store_handle)),
        runtime(std::move(runtime_handle)),
        parts{.store = MakeStoreParts(store),
              .steps = MakeStepEnvironment(*runtime.impl_, *store.impl_),
              .max_parallel =
                  options.max_parallel > 0
                      ? options.max_parallel
                      : std::max(1, static_cast<int>(std::thread::hardware_concurrency())),
              .digests = build::FileDigests(store.impl_->root)} {
    if (options.registry) parts.store.pull = MakePull(options.registry->impl_);
  }

  static decltype(build::StoreParts::pull) MakePull(std::shared_ptr<Registry::Impl> registry) {
    return [registry](const ImageRef& image, std::string_view platform,
                      const std::function<void(std::string)>& log, std::stop_token stop) {
      registry::PullRequest request{.image = image, .is_base = true};
      request.max_parallel_layers = registry->options.max_parallel_layers;
      const auto words = core::StrSplit(platform, '/');
      if (words.size() >= 2) {
        request.platform = {std::string(words[0]), std::string(words[1])};
        if (words.size() > 2) request.platform.variant = words[2];
      }
      return registry
          ->Pull(
              request, {}, [&log](std::string_view line) { log(std::string(line)); }, {},
              std::move(stop))
          .status();
    };
  }

  static build::StoreParts MakeStoreParts(const Store& store) {
    const std::shared_ptr<Store::Impl>& impl = store.impl_;
    const auto convert = [](StatusOr<Store::Impl::Image> image) -> StatusOr<build::StoredImage> {
      if (!image.ok()) return image.status();
      return build::StoredImage{std::move(image->info), std::move(image->manifest),
                                std::move(image->config)};
    };
    return {
        .store = store,
        .root = impl->root,
        .blobs = impl->blobs,
        .references = impl->references,
        .layers = impl->layers,
        .leases = impl->leases,
        .snapshots = impl->snapshots,
        .resolve = [impl, convert](std::string_view name) { return convert(impl->Resolve(name)); },
        .resolve_manifest =
            [impl, convert](const Digest& manifest) {
              return convert(impl->ResolveManifest(manifest));
            },
        .ensure_layers =
            [impl](const build::StoredImage& image, std::stop_token stop) {
              return impl->EnsureLayers({image.info, image.manifest, image.config},
                                        std::move(stop));
            }};
  }

  static build::StepEnvironment MakeStepEnvironment(Runtime::Impl& runtime, Store::Impl& store) {
    const std::shared_ptr<Network::Impl>& net = runtime.net;
    build::StepNetwork network;
    network.reserve = [net](const network::EndpointRequest& request) {
      return net->Reserve(request);
    };
    network.attach = [net](const network::Endpoint& endpoint, std::string_view container, int netns,
                           int rtnetlink) {
      return net->Attach(endpoint, container, netns, rtnetlink);
    };
    network.release = [net](std::string_view container) { return net->Release(container); };
    network.set_up_loopback = [net](int rtnetlink) { return net->SetUpLoopback(rtnetlink); };
    network.resolv_conf = [net] { return net->ResolvConf({}, "bridge"); };
    return {.data_root = *store.root,
            .launcher = *runtime.launcher,
            .cgroups = *runtime.cgroups,
            .network = std::move(network),
            .id_ranges = runtime.id_ranges,
            .run_dir = runtime.run_dir,
            .host = runtime.host};
  }

  // Kept alive for what `parts` refers to.
  Store store;
  Runtime runtime;
  build::BuilderParts parts;
};

ImageBuilder::ImageBuilder(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<ImageBuilder> ImageBuilder::Create(Store store, Runtime runtime,
                                            const BuilderOptions& options) {
  if (options.max_parallel < 0) {
    return core::InvalidArgument("max_parallel", "may not be negative");
  }
  return ImageBuilder(std::make_shared<Impl>(std::move(store), std::move(runtime), options));
}

std::vector<Diagnostic> ImageBuilder::Check(std::string_view minibox_file) {
  return build::CheckText(minibox_file);
}

Status ImageBuilder::Validate(const BuildOptions& options) const {
  return build::CheckBuild(options, impl_->parts.store).status();
}

StatusOr<BuildPlan> ImageBuilder::Plan(const BuildOptions& options, std::stop_token stop) const {
  MBX_ASSIGN_OR_RETURN(build::CheckedBuild checked, build::CheckBuild(options, impl_->parts.store));
  return build::DescribePlan(impl_->parts, options, std::move(checked), std::move(stop));
}

StatusOr<ImageInfo> ImageBuilder::Build(const BuildOptions& options, const BuildEventFn& events,
                                        std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(build::CheckedBuild checked, build::CheckBuild(options, impl_->parts.store));
  build::BuilderParts& parts = impl_->parts;
  build::BuildLog log;
  build::Silence silence(parts.silence);
  std::stop_source cancel;
  const std::stop_callback forward(stop, [&cancel] { cancel.request_stop(); });
  std::optional<StatusOr<ImageInfo>> built;
  std::thread worker = core::StartThread("mbx-build", [&] {
    built.emplace(
        build::RunBuild(parts, options, std::move(checked), log, silence, cancel.get_token()));
    log.Close();
  });
  const Status delivered =
      log.Deliver(events, parts.look_for_silence, [&silence] { return silence.Lines(); });
  if (!delivered.ok()) cancel.request_stop();
  worker.join();
  // An image that is registered is built, whoever did not want to hear of it.
  if (!delivered.ok() && !built->ok()) return delivered;
  return std::move(*built);
}

}  // namespace v1
}  // namespace minibox
