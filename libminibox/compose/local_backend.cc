// SPDX-License-Identifier: Apache-2.0
// A project on the engine in this process.
#include "core/errors.h"
#include "core/status_macros.h"
#include "minibox/compose.h"

namespace minibox {
inline namespace v1 {
namespace {

class LocalBackend final : public ComposeBackend {
 public:
  LocalBackend(Store store, Network network, Runtime runtime, ImageBuilder builder,
               std::optional<Registry> registry)
      : store_(std::move(store)),
        network_(std::move(network)),
        runtime_(std::move(runtime)),
        builder_(std::move(builder)),
        registry_(std::move(registry)) {}

  StatusOr<std::vector<ContainerInfo>> ListContainers() override { return runtime_.List(); }
  StatusOr<ContainerInfo> CreateContainer(const ContainerSpec& spec) override {
    return runtime_.Create(spec);
  }
  StatusOr<ContainerInfo> StartContainer(const ContainerId& id, std::stop_token stop) override {
    return runtime_.Start(id, std::move(stop));
  }
  Status StopContainer(const ContainerId& id, const StopOptions& options,
                       std::stop_token stop) override {
    return runtime_.Stop(id, options, std::move(stop)).status();
  }
  Status KillContainer(const ContainerId& id, int signal) override {
    return runtime_.Kill(id, signal);
  }
  Status RemoveContainer(const ContainerId& id, bool force) override {
    return runtime_.Remove(id, force);
  }
  StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& options,
                                  std::stop_token stop) override {
    return runtime_.WaitFor(id, options, std::move(stop));
  }

  StatusOr<std::map<std::string, std::string>> AnonymousVolumes(const ContainerId& id) override {
    MBX_ASSIGN_OR_RETURN(const ContainerDetails details, runtime_.InspectDetails(id));
    std::map<std::string, std::string> volumes;
    for (const MountDetails& mount : details.mounts) {
      if (mount.type != "volume" || mount.name.empty()) continue;
      const auto volume = store_.InspectVolume(mount.name);
      if (volume.ok() && volume->anonymous) volumes[mount.target] = mount.name;
    }
    return volumes;
  }

  Status ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                  std::stop_token stop) override {
    return runtime_.ReadLogs(id, options, sink, std::move(stop));
  }

  StatusOr<ImageInfo> GetImage(std::string_view name) override { return store_.GetImage(name); }
  StatusOr<ImageInfo> BuildImage(const BuildOptions& options, const BuildEventFn& events,
                                 std::stop_token stop) override {
    return builder_.Build(options, events, std::move(stop));
  }
  StatusOr<ImageInfo> PullImage(const ImageRef& image, const PullOptions& options,
                                std::stop_token stop) override {
    if (!registry_) {
      return core::NotFound("image_not_found", "there is no registry to pull from");
    }
    return registry_->Pull(image, options, std::move(stop));
  }

  StatusOr<std::vector<NetworkInfo>> ListNetworks() override { return network_.List(); }
  Status CreateNetwork(const NetworkSpec& spec) override { return network_.Create(spec).status(); }
  Status RemoveNetwork(std::string_view name) override { return network_.Remove(name); }
  StatusOr<std::vector<VolumeInfo>> ListVolumes() override { return store_.ListVolumes(); }
  Status CreateVolume(std::string_view name, const Labels& labels) override {
    return store_.CreateVolume(name, labels).status();
  }
  Status RemoveVolume(std::string_view name) override { return store_.RemoveVolume(name); }

 private:
  Store store_;
  Network network_;
  Runtime runtime_;
  ImageBuilder builder_;
  std::optional<Registry> registry_;
};

}  // namespace

std::shared_ptr<ComposeBackend> LocalComposeBackend(Store store, Network network, Runtime runtime,
                                                    ImageBuilder builder,
                                                    std::optional<Registry> registry) {
  return std::make_shared<LocalBackend>(std::move(store), std::move(network), std::move(runtime),
                                        std::move(builder), std::move(registry));
}

}  // namespace v1
}  // namespace minibox
