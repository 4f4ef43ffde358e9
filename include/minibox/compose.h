// SPDX-License-Identifier: Apache-2.0
// Projects of several containers, described by a compose file (spec §14).
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "minibox/export.h"
#include "minibox/image_builder.h"
#include "minibox/network.h"
#include "minibox/registry.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "minibox/store.h"

namespace minibox {
inline namespace v1 {

// What a project is carried out with: the engine in this process (LocalComposeBackend), or a
// daemon. Calls mean what the methods of the same names of Runtime, Store, Network, ImageBuilder
// and Registry do, and fail with the same reasons. Functions may be called concurrently.
class MINIBOX_EXPORT ComposeBackend {
 public:
  virtual ~ComposeBackend();

  virtual StatusOr<std::vector<ContainerInfo>> ListContainers() = 0;
  virtual StatusOr<ContainerInfo> CreateContainer(const ContainerSpec& spec) = 0;
  virtual StatusOr<ContainerInfo> StartContainer(const ContainerId& id, std::stop_token stop) = 0;
  virtual Status StopContainer(const ContainerId& id, const StopOptions& options,
                               std::stop_token stop) = 0;
  virtual Status KillContainer(const ContainerId& id, int signal) = 0;
  virtual Status RemoveContainer(const ContainerId& id, bool force) = 0;
  // Where `options.condition` is kExited the exit code is in the result.
  virtual StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& options,
                                          std::stop_token stop) = 0;
  // Anonymous volumes of a container: target -> volume.
  virtual StatusOr<std::map<std::string, std::string>> AnonymousVolumes(const ContainerId& id) = 0;
  virtual Status ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                          std::stop_token stop) = 0;

  virtual StatusOr<ImageInfo> GetImage(std::string_view name) = 0;
  virtual StatusOr<ImageInfo> BuildImage(const BuildOptions& options, const BuildEventFn& events,
                                         std::stop_token stop) = 0;
  virtual StatusOr<ImageInfo> PullImage(const ImageRef& image, const PullOptions& options,
                                        std::stop_token stop) = 0;

  virtual StatusOr<std::vector<NetworkInfo>> ListNetworks() = 0;
  virtual Status CreateNetwork(const NetworkSpec& spec) = 0;
  virtual Status RemoveNetwork(std::string_view name) = 0;
  virtual StatusOr<std::vector<VolumeInfo>> ListVolumes() = 0;
  virtual Status CreateVolume(std::string_view name, const Labels& labels) = 0;
  virtual Status RemoveVolume(std::string_view name) = 0;
};

// With what was opened by the caller. `registry`: without one nothing is pulled.
MINIBOX_EXPORT std::shared_ptr<ComposeBackend> LocalComposeBackend(
    Store store, Network network, Runtime runtime, ImageBuilder builder,
    std::optional<Registry> registry = {});

struct ComposeOptions {
  // Empty: the first of the usual names (spec §14.1) in `directory`.
  std::filesystem::path file{};
  std::filesystem::path directory = ".";
  std::string project{};  // empty: the file's `name`, else the directory's
  std::vector<std::string> profiles{};
  // Variables, stronger than those of `env_file`.
  std::map<std::string, std::string> environment{};
  std::filesystem::path env_file{};  // empty: ".env" beside the file, if there is one
  std::filesystem::path home{};      // what "~" in a volume means; empty: an error
  // Where the lock of each project lies, for all who work on one engine. Made if missing.
  std::filesystem::path lock_dir = "/run/minibox-compose";
};

// Something that has happened to a service.
struct ComposeEvent {
  enum class Kind {
    kBuilding,  // `text`: a line of the build
    kPulling,   // `text`: a line of the pull
    kCreated,
    kStarted,  // `id`
    kUnchanged,
    kWaiting,  // for `text`, another service
    kStopped,
    kRemoved,
    kNetworkCreated,  // `text`: its name, and so on
    kNetworkRemoved,
    kVolumeCreated,
    kVolumeRemoved,
    kWarning,  // `text`
    kFailed,   // `text`
  };
  Kind kind = Kind::kStarted;
  std::string service{};  // empty: of the project
  std::string id{};       // of the container
  std::string text{};
};
// Called from library threads, never concurrently for one operation.
using ComposeEventFn = std::function<void(const ComposeEvent&)>;

struct UpOptions {
  std::vector<std::string> services{};  // with what they depend on; empty: all
  bool build = false;                   // build images that there are already
  bool force_recreate = false;          // replace what is as it should be
  bool no_deps = false;                 // leave dependencies as they are
  bool remove_orphans = false;          // containers whose service is not in the file
  bool wait = false;                    // until those with health checks are healthy
  std::chrono::seconds timeout{60};     // for a dependency's condition, and for `wait`
  std::optional<std::chrono::seconds> stop_timeout{};  // of what is replaced
};
struct DownOptions {
  bool volumes = false;  // remove the project's volumes too
  bool remove_orphans = false;
  std::optional<std::chrono::seconds> stop_timeout{};
};

struct ServiceStatus {
  std::string service{};
  ContainerInfo container;
};

struct ComposeLogOptions {
  std::vector<std::string> services{};
  bool follow = false;  // until all have exited
  std::optional<size_t> tail_lines{};
};
// One line, without line end, in the order of time as far as it was written before the call.
struct ComposeLogLine {
  std::string_view service, time, text;  // time: RFC 3339; valid during the call only
  Stream stream = Stream::kStdout;
};
// Never called concurrently. An error ends the reading.
using ComposeLogFn = std::function<Status(const ComposeLogLine&)>;

// One project. A thread-safe handle; what several of them do to one project at once is done one
// after the other. Containers carry the labels minibox.project, minibox.service and
// minibox.config-hash, by which they are found again, also without the file.
class MINIBOX_EXPORT Compose {
 public:
  // Reads the file; nothing is done. kInvalidArgument "invalid_compose_file" with
  // "<file>:<line>:<column>"; kNotFound "compose_file_not_found".
  static StatusOr<Compose> Load(const ComposeOptions& options,
                                std::shared_ptr<ComposeBackend> backend);
  // What there is of `project`, without a file: Down, Ps, Stop and the like.
  static StatusOr<Compose> Attach(const ComposeOptions& options,
                                  std::shared_ptr<ComposeBackend> backend);

  const std::string& project() const;
  const std::vector<std::string>& warnings() const;
  // Those of active profiles, each after what it depends on.
  std::vector<std::string> services() const;
  // The file with every variable replaced, as a compose file.
  std::string ConfigYaml() const;
  // Of each service; two that are equal need no new container. An image that is not here yet
  // counts by its name.
  StatusOr<std::map<std::string, std::string>> ConfigHashes() const;
  // Makes ready what a container of `service` needs: image, networks, volumes and, unless
  // `no_deps`, running dependencies.
  Status Prepare(std::string_view service, bool no_deps, const ComposeEventFn& events = {},
                 std::stop_token stop = {});
  // What `run` would create of a service: its container without ports and fixed address, to be
  // removed when it exits.
  StatusOr<ContainerSpec> OneOff(std::string_view service) const;

  // Brings what runs in accordance with the file (spec §14.2). kFailedPrecondition
  // "dependency_failed" names the service; what runs stays. A second call changes nothing.
  Status Up(const UpOptions& options = {}, const ComposeEventFn& events = {},
            std::stop_token stop = {});
  Status Down(const DownOptions& options = {}, const ComposeEventFn& events = {},
              std::stop_token stop = {});
  // Of existing containers; empty: of all. kNotFound "service_not_found".
  Status Start(const std::vector<std::string>& services, const ComposeEventFn& events = {},
               std::stop_token stop = {});
  Status Stop(const std::vector<std::string>& services,
              std::optional<std::chrono::seconds> grace = {}, const ComposeEventFn& events = {},
              std::stop_token stop = {});
  Status Restart(const std::vector<std::string>& services,
                 std::optional<std::chrono::seconds> grace = {}, const ComposeEventFn& events = {},
                 std::stop_token stop = {});
  Status Kill(const std::vector<std::string>& services, int signal = SIGKILL,
              const ComposeEventFn& events = {});
  // Stopped ones; with `stop_first` all.
  Status Remove(const std::vector<std::string>& services, bool stop_first,
                const ComposeEventFn& events = {}, std::stop_token stop = {});
  // Services with `build`.
  Status Build(const std::vector<std::string>& services, bool no_cache,
               const ComposeEventFn& events = {}, std::stop_token stop = {});
  // Services without.
  Status Pull(const std::vector<std::string>& services, const ComposeEventFn& events = {},
              std::stop_token stop = {});

  // By service, then id.
  StatusOr<std::vector<ServiceStatus>> Ps() const;
  Status ReadLogs(const ComposeLogOptions& options, const ComposeLogFn& sink,
                  std::stop_token stop = {}) const;

 private:
  struct Impl;
  explicit Compose(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace v1
}  // namespace minibox
