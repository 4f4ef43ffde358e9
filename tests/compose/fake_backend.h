// SPDX-License-Identifier: Apache-2.0
// An engine that only remembers: containers, networks and volumes as records, and every call in
// order. What is to fail is said before.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "minibox/compose.h"

namespace minibox::compose {

class FakeBackend : public ComposeBackend {
 public:
  // All under the mutex.
  std::mutex mutex;
  std::vector<std::string> calls;                    // "start p-web", …
  std::set<std::string> failing;                     // of them, those that fail
  std::set<std::string> images{"i"};                 // what GetImage knows
  std::set<std::string> pullable;                    // and what it may be made to know
  std::map<std::string, std::string> image_digests;  // by name; others have one of their name's
  std::map<std::string, int> exit_codes;             // by container name: it ends at once
  std::set<std::string> unhealthy;                   // names that never become healthy
  std::map<std::string, std::string> logs;           // by container name, with times
  std::map<std::string, ContainerInfo> containers;   // by id
  std::map<std::string, ContainerSpec> specs;
  std::map<std::string, NetworkInfo> networks;
  std::map<std::string, VolumeInfo> volumes;

  std::vector<std::string> TakeCalls();
  const ContainerInfo* Named(const std::string& name);

  StatusOr<std::vector<ContainerInfo>> ListContainers() override;
  StatusOr<ContainerInfo> CreateContainer(const ContainerSpec& spec) override;
  StatusOr<ContainerInfo> StartContainer(const ContainerId& id, std::stop_token stop) override;
  Status StopContainer(const ContainerId& id, const StopOptions& options,
                       std::stop_token stop) override;
  Status KillContainer(const ContainerId& id, int signal) override;
  Status RemoveContainer(const ContainerId& id, bool force) override;
  StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& options,
                                  std::stop_token stop) override;
  StatusOr<std::map<std::string, std::string>> AnonymousVolumes(const ContainerId& id) override;
  Status ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                  std::stop_token stop) override;
  StatusOr<ImageInfo> GetImage(std::string_view name) override;
  StatusOr<ImageInfo> BuildImage(const BuildOptions& options, const BuildEventFn& events,
                                 std::stop_token stop) override;
  StatusOr<ImageInfo> PullImage(const ImageRef& image, const PullOptions& options,
                                std::stop_token stop) override;
  StatusOr<std::vector<NetworkInfo>> ListNetworks() override;
  Status CreateNetwork(const NetworkSpec& spec) override;
  Status RemoveNetwork(std::string_view name) override;
  StatusOr<std::vector<VolumeInfo>> ListVolumes() override;
  Status CreateVolume(std::string_view name, const Labels& labels) override;
  Status RemoveVolume(std::string_view name) override;

 private:
  Status Call(const std::string& what);  // with the mutex
  StatusOr<ContainerInfo*> Get(const ContainerId& id);
  int next_ = 1;
};

}  // namespace minibox::compose
