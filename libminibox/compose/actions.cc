// SPDX-License-Identifier: Apache-2.0
// What is done to a project that there is: down, start, stop, restart, kill, rm, build, pull.
#include <algorithm>

#include "compose/compose_impl.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox {
namespace compose {
namespace {

using Kind = ComposeEvent::Kind;
using Action = std::function<Status(const ServiceStatus&)>;

// The first error; all are tried.
class FirstError {
 public:
  void Add(const Status& status) {
    const std::lock_guard lock(mutex_);
    if (first_.ok()) first_ = status;
  }
  Status Take() { return std::move(first_); }

 private:
  std::mutex mutex_;
  Status first_;
};

enum class Direction { kDependenciesFirst, kDependentsFirst };

// Several at once, along the graph as far as the file says one.
Status ForEach(const State& impl, const std::vector<ServiceStatus>& containers, Direction direction,
               Reporter& reporter, const Action& action) {
  const auto depends = [&](const ServiceStatus& one, const ServiceStatus& other) {
    const Service* const service = impl.project.Find(one.service);
    return service != nullptr &&
           std::any_of(service->depends_on.begin(), service->depends_on.end(),
                       [&](const Dependency& entry) { return entry.service == other.service; });
  };
  FirstError error;
  RunTasks(
      containers.size(),
      [&](size_t i) {
        std::vector<size_t> before;
        for (size_t other = 0; other < containers.size(); ++other) {
          const bool earlier = direction == Direction::kDependenciesFirst
                                   ? depends(containers[i], containers[other])
                                   : depends(containers[other], containers[i]);
          if (earlier) before.push_back(other);
        }
        return before;
      },
      [&](size_t i) {
        const Status done = action(containers[i]);
        if (done.ok()) return;
        reporter.Report(Kind::kFailed, containers[i].service, containers[i].container.id.ToString(),
                        done.message());
        error.Add(done.WithContext(core::StrCat("service ", containers[i].service)));
      });
  return error.Take();
}

bool IsStopped(const ContainerInfo& info) {
  return info.state == ContainerState::kExited || info.state == ContainerState::kCreated;
}

Action Stopping(const State& impl, std::optional<std::chrono::seconds> grace, Reporter& reporter,
                std::stop_token stop) {
  return [&impl, grace, &reporter, stop](const ServiceStatus& entry) {
    // Also one that waits for its restart policy.
    if (IsStopped(entry.container) && !entry.container.next_restart) return Status();
    MBX_RETURN_IF_ERROR(impl.backend->StopContainer(entry.container.id, StopWithin(grace), stop));
    reporter.Report(Kind::kStopped, entry.service, entry.container.id.ToString());
    return Status();
  };
}

Action Removing(const State& impl, Reporter& reporter) {
  return [&impl, &reporter](const ServiceStatus& entry) {
    const Status removed = impl.backend->RemoveContainer(entry.container.id, true);
    // One with `rm` may have gone by itself when it was stopped.
    if (!removed.ok() && removed.reason() != "container_not_found") return removed;
    reporter.Report(Kind::kRemoved, entry.service, entry.container.id.ToString());
    return Status();
  };
}

Status RemoveNetworks(const State& impl, Reporter& reporter) {
  MBX_ASSIGN_OR_RETURN(const auto networks, impl.backend->ListNetworks());
  FirstError error;
  for (const NetworkInfo& network : networks) {
    if (LabelOf(network.labels, kProjectLabel) != impl.project.name) continue;
    const Status removed = impl.backend->RemoveNetwork(network.name);
    if (removed.ok()) reporter.Report(Kind::kNetworkRemoved, "", "", network.name);
    error.Add(removed.WithContext(core::StrCat("network ", network.name)));
  }
  return error.Take();
}

Status RemoveVolumes(const State& impl, Reporter& reporter) {
  MBX_ASSIGN_OR_RETURN(const auto volumes, impl.backend->ListVolumes());
  FirstError error;
  for (const VolumeInfo& volume : volumes) {
    if (LabelOf(volume.labels, kProjectLabel) != impl.project.name) continue;
    const Status removed = impl.backend->RemoveVolume(volume.name);
    if (removed.ok()) reporter.Report(Kind::kVolumeRemoved, "", "", volume.name);
    error.Add(removed.WithContext(core::StrCat("volume ", volume.name)));
  }
  return error.Take();
}

}  // namespace
}  // namespace compose

inline namespace v1 {

using compose::Direction;

Status Compose::Down(const DownOptions& options, const ComposeEventFn& events,
                     std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto lock, compose::LockProject(*impl_, stop));
  MBX_ASSIGN_OR_RETURN(auto containers, compose::ListProject(*impl_));
  const bool has_file = !impl_->project.file.empty();
  if (has_file && !options.remove_orphans) {
    std::erase_if(containers, [&](const ServiceStatus& entry) {
      if (impl_->project.Find(entry.service) != nullptr) return false;
      reporter.Report(ComposeEvent::Kind::kWarning, entry.service, entry.container.id.ToString(),
                      core::StrCat("service '", entry.service,
                                   "' is not in the file; --remove-orphans removes its container"));
      return true;
    });
  }
  MBX_RETURN_IF_ERROR(
      compose::ForEach(*impl_, containers, Direction::kDependentsFirst, reporter,
                       compose::Stopping(*impl_, options.stop_timeout, reporter, stop)));
  MBX_RETURN_IF_ERROR(compose::ForEach(*impl_, containers, Direction::kDependentsFirst, reporter,
                                       compose::Removing(*impl_, reporter)));
  MBX_RETURN_IF_ERROR(compose::RemoveNetworks(*impl_, reporter));
  return options.volumes ? compose::RemoveVolumes(*impl_, reporter) : Status();
}

Status Compose::Start(const std::vector<std::string>& services, const ComposeEventFn& events,
                      std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto lock, compose::LockProject(*impl_, stop));
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  MBX_ASSIGN_OR_RETURN(const auto chosen, compose::Choose(*impl_, all, services));
  return compose::ForEach(
      *impl_, chosen, Direction::kDependenciesFirst, reporter, [&](const ServiceStatus& entry) {
        if (!compose::IsStopped(entry.container)) return Status();
        MBX_RETURN_IF_ERROR(impl_->backend->StartContainer(entry.container.id, stop).status());
        reporter.Report(ComposeEvent::Kind::kStarted, entry.service, entry.container.id.ToString());
        return Status();
      });
}

Status Compose::Stop(const std::vector<std::string>& services,
                     std::optional<std::chrono::seconds> grace, const ComposeEventFn& events,
                     std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto lock, compose::LockProject(*impl_, stop));
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  MBX_ASSIGN_OR_RETURN(const auto chosen, compose::Choose(*impl_, all, services));
  return compose::ForEach(*impl_, chosen, Direction::kDependentsFirst, reporter,
                          compose::Stopping(*impl_, grace, reporter, stop));
}

Status Compose::Restart(const std::vector<std::string>& services,
                        std::optional<std::chrono::seconds> grace, const ComposeEventFn& events,
                        std::stop_token stop) {
  MBX_RETURN_IF_ERROR(Stop(services, grace, events, stop));
  return Start(services, events, std::move(stop));
}

Status Compose::Kill(const std::vector<std::string>& services, int signal,
                     const ComposeEventFn& events) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  MBX_ASSIGN_OR_RETURN(const auto chosen, compose::Choose(*impl_, all, services));
  return compose::ForEach(*impl_, chosen, Direction::kDependentsFirst, reporter,
                          [&](const ServiceStatus& entry) {
                            if (compose::IsStopped(entry.container)) return Status();
                            return impl_->backend->KillContainer(entry.container.id, signal);
                          });
}

Status Compose::Remove(const std::vector<std::string>& services, bool stop_first,
                       const ComposeEventFn& events, std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto lock, compose::LockProject(*impl_, stop));
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  MBX_ASSIGN_OR_RETURN(auto chosen, compose::Choose(*impl_, all, services));
  if (stop_first) {
    MBX_RETURN_IF_ERROR(compose::ForEach(*impl_, chosen, Direction::kDependentsFirst, reporter,
                                         compose::Stopping(*impl_, {}, reporter, stop)));
  } else {
    std::erase_if(chosen,
                  [](const ServiceStatus& entry) { return !compose::IsStopped(entry.container); });
  }
  return compose::ForEach(*impl_, chosen, Direction::kDependentsFirst, reporter,
                          compose::Removing(*impl_, reporter));
}

Status Compose::Build(const std::vector<std::string>& services, bool no_cache,
                      const ComposeEventFn& events, std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto order,
                       compose::SelectServices(impl_->project, services, impl_->options.profiles,
                                               /*dependencies=*/false));
  for (const compose::Service* service : order) {
    if (!service->build) continue;
    MBX_RETURN_IF_ERROR(compose::BuildService(*impl_, *service, no_cache, reporter, stop));
  }
  return Status();
}

Status Compose::Pull(const std::vector<std::string>& services, const ComposeEventFn& events,
                     std::stop_token stop) {
  compose::Reporter reporter(events);
  MBX_ASSIGN_OR_RETURN(const auto order,
                       compose::SelectServices(impl_->project, services, impl_->options.profiles,
                                               /*dependencies=*/false));
  for (const compose::Service* service : order) {
    if (service->build) continue;
    MBX_RETURN_IF_ERROR(compose::PullService(*impl_, *service, reporter, stop));
  }
  return Status();
}

}  // namespace v1
}  // namespace minibox
