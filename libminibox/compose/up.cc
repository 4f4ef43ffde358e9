// SPDX-License-Identifier: Apache-2.0
// Bringing what runs in accordance with the file (spec §14.2).
#include <algorithm>
#include <chrono>
#include <set>

#include "compose/compose_impl.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox {
namespace compose {
namespace {

using core::StrCat;
using Kind = ComposeEvent::Kind;

// What an `up` has made of a service so far. One thread writes it, those of the services after it
// read it.
struct Outcome {
  Status status{};
  std::optional<ContainerInfo> container{};
};

class Up {
 public:
  Up(const State& impl, const UpOptions& options, Reporter& reporter, std::stop_token stop)
      : impl_(impl), options_(options), reporter_(reporter), stop_(std::move(stop)) {}

  Status Run();
  // All that `service` needs, but not its own container.
  Status Prepare(std::string_view service);

 private:
  Status ProvideNetworks();
  Status ProvideVolumes();
  Status ProvideImages();
  Status RemoveOrphans();
  // Of the services that `up` is about, before service `i`.
  std::vector<size_t> Before(size_t i) const;
  void BringUp(size_t i);
  Status BringAllUp();
  Status AwaitDependencies(const Service& service);
  Status AwaitOne(const Service& service, const Dependency& dependency);
  StatusOr<ContainerInfo> Reconcile(const Service& service, const ImageInfo& image);
  StatusOr<ContainerInfo> StartNew(const Service& service, const ContainerSpec& spec);
  StatusOr<ContainerInfo> Replace(const Service& service, ContainerSpec spec,
                                  const ContainerInfo& old);
  Status AwaitHealth();
  const Outcome* OutcomeOf(std::string_view service) const;

  const State& impl_;
  const UpOptions& options_;
  Reporter& reporter_;
  const std::stop_token stop_;
  std::vector<const Service*> services_;
  std::vector<ServiceStatus> present_;
  std::vector<StatusOr<ImageInfo>> images_;
  std::vector<Outcome> outcomes_;
};

bool Runs(const ContainerInfo& info) {
  return info.state == ContainerState::kRunning || info.state == ContainerState::kPaused;
}

Status Up::ProvideNetworks() {
  std::set<std::string> keys;
  for (const Service* service : services_) {
    keys.insert(service->network_keys.begin(), service->network_keys.end());
  }
  if (keys.empty()) return Status();
  MBX_ASSIGN_OR_RETURN(const auto networks, impl_.backend->ListNetworks());
  for (const NetworkDefinition& wanted : impl_.project.networks) {
    if (keys.count(wanted.key) == 0) continue;
    const auto found =
        std::find_if(networks.begin(), networks.end(),
                     [&](const NetworkInfo& network) { return network.name == wanted.name; });
    if (found != networks.end()) {
      if (!wanted.external && (found->internal != wanted.internal ||
                               (!wanted.subnet.empty() && found->subnet != wanted.subnet))) {
        reporter_.Report(
            Kind::kWarning, "", "",
            StrCat("network ", wanted.name, " is there with other settings; 'down' removes it"));
      }
      continue;
    }
    if (wanted.external) {
      return core::NotFound("network_not_found",
                            StrCat("the external network '", wanted.name, "' does not exist"));
    }
    NetworkSpec spec;
    spec.name = wanted.name;
    spec.subnet = wanted.subnet;
    spec.internal = wanted.internal;
    spec.labels[kProjectLabel] = impl_.project.name;
    MBX_RETURN_IF_ERROR(
        impl_.backend->CreateNetwork(spec).WithContext(StrCat("network ", wanted.key)));
    reporter_.Report(Kind::kNetworkCreated, "", "", wanted.name);
  }
  return Status();
}

Status Up::ProvideVolumes() {
  std::set<std::string> keys;
  for (const Service* service : services_) {
    keys.insert(service->volume_keys.begin(), service->volume_keys.end());
  }
  // Those of `data` are named by their service alone.
  std::vector<VolumeDefinition> wanted;
  for (const VolumeDefinition& volume : impl_.project.volumes) {
    if (keys.count(volume.key) != 0) wanted.push_back(volume);
  }
  for (const Service* service : services_) {
    for (const Mount& mount : service->spec.mounts) {
      const bool known = mount.kind != Mount::Kind::kVolume || mount.source.empty() ||
                         std::any_of(wanted.begin(), wanted.end(), [&](const auto& volume) {
                           return volume.name == mount.source;
                         });
      if (!known) wanted.push_back({.key = mount.source, .name = mount.source});
    }
  }
  if (wanted.empty()) return Status();
  MBX_ASSIGN_OR_RETURN(const auto volumes, impl_.backend->ListVolumes());
  for (const VolumeDefinition& volume : wanted) {
    const bool there = std::any_of(volumes.begin(), volumes.end(), [&](const VolumeInfo& info) {
      return info.name == volume.name;
    });
    if (there) continue;
    if (volume.external) {
      return core::NotFound("volume_not_found",
                            StrCat("the external volume '", volume.name, "' does not exist"));
    }
    MBX_RETURN_IF_ERROR(
        impl_.backend->CreateVolume(volume.name, {{kProjectLabel, impl_.project.name}})
            .WithContext(StrCat("volume ", volume.key)));
    reporter_.Report(Kind::kVolumeCreated, "", "", volume.name);
  }
  return Status();
}

// All of them before anything is started: a project that cannot be complete is left as it is.
Status Up::ProvideImages() {
  images_.assign(services_.size(), StatusOr<ImageInfo>(core::Cancelled("the provision of images")));
  // One image for several services is made once: by the service that builds it, else by the first.
  std::map<std::string, size_t> makers;
  for (const bool builds : {true, false}) {
    for (size_t i = 0; i < services_.size(); ++i) {
      if (services_[i]->build.has_value() == builds) makers.emplace(services_[i]->spec.image, i);
    }
  }
  RunTasks(
      services_.size(),
      [&](size_t i) {
        const size_t maker = makers.at(services_[i]->spec.image);
        return maker == i ? std::vector<size_t>() : std::vector<size_t>{maker};
      },
      [&](size_t i) {
        if (stop_.stop_requested()) return;
        const size_t maker = makers.at(services_[i]->spec.image);
        images_[i] = maker == i
                         ? ProvideImage(impl_, *services_[i], options_.build, reporter_, stop_)
                         : images_[maker];
      });
  for (size_t i = 0; i < services_.size(); ++i) {
    if (images_[i].ok()) continue;
    reporter_.Report(Kind::kFailed, services_[i]->name, "", images_[i].status().message());
    return images_[i].status();
  }
  return Status();
}

Status Up::RemoveOrphans() {
  for (const ServiceStatus& entry : present_) {
    if (impl_.project.Find(entry.service) != nullptr) continue;
    const std::string id = entry.container.id.ToString();
    if (!options_.remove_orphans) {
      reporter_.Report(Kind::kWarning, entry.service, id,
                       StrCat("service '", entry.service,
                              "' is not in the file; --remove-orphans removes its container"));
      continue;
    }
    MBX_RETURN_IF_ERROR(
        impl_.backend->StopContainer(entry.container.id, StopWithin(options_.stop_timeout), stop_));
    MBX_RETURN_IF_ERROR(impl_.backend->RemoveContainer(entry.container.id, false));
    reporter_.Report(Kind::kRemoved, entry.service, id);
  }
  return Status();
}

std::vector<size_t> Up::Before(size_t i) const {
  std::vector<size_t> before;
  for (const Dependency& dependency : services_[i]->depends_on) {
    for (size_t other = 0; other < i; ++other) {
      if (services_[other]->name == dependency.service) before.push_back(other);
    }
  }
  return before;
}

const Outcome* Up::OutcomeOf(std::string_view service) const {
  for (size_t i = 0; i < services_.size(); ++i) {
    if (services_[i]->name == service) return &outcomes_[i];
  }
  return nullptr;
}

Status Up::AwaitOne(const Service& service, const Dependency& dependency) {
  const auto failed = [&](std::string_view why) {
    return core::FailedPrecondition(
        "dependency_failed",
        StrCat("service '", service.name, "' was not started: '", dependency.service, "' ", why));
  };
  const Outcome* const outcome = OutcomeOf(dependency.service);
  if (outcome == nullptr) return Status();  // not asked for: --no-deps
  if (!outcome->status.ok()) return failed("was not started");
  const ContainerInfo& container = *outcome->container;
  if (dependency.condition == Condition::kStarted) return Status();
  reporter_.Report(Kind::kWaiting, service.name, "", dependency.service);
  const bool health = dependency.condition == Condition::kHealthy;
  const WaitOptions wait{.condition = health ? WaitCondition::kHealthy : WaitCondition::kExited,
                         .timeout = options_.timeout};
  const auto reached = impl_.backend->WaitFor(container.id, wait, stop_);
  if (!reached.ok()) {
    if (reached.status().code() == StatusCode::kCancelled) return reached.status();
    if (reached.status().code() == StatusCode::kDeadlineExceeded) {
      return failed(StrCat(health ? "was not healthy within " : "had not ended within ",
                           options_.timeout.count(), " s"));
    }
    return failed(reached.status().message());
  }
  const int code = reached->exit ? reached->exit->code : 0;
  if (!health && code != 0) return failed(StrCat("ended with status ", code));
  return Status();
}

Status Up::AwaitDependencies(const Service& service) {
  for (const Dependency& dependency : service.depends_on) {
    const Status met = AwaitOne(service, dependency);
    if (met.ok()) continue;
    if (dependency.required || met.code() == StatusCode::kCancelled) return met;
    reporter_.Report(Kind::kWarning, service.name, "", met.message());
  }
  return Status();
}

StatusOr<ContainerInfo> Up::StartNew(const Service& service, const ContainerSpec& spec) {
  MBX_ASSIGN_OR_RETURN(const ContainerInfo created, impl_.backend->CreateContainer(spec));
  reporter_.Report(Kind::kCreated, service.name, created.id.ToString());
  auto started = impl_.backend->StartContainer(created.id, stop_);
  if (!started.ok()) (void)impl_.backend->RemoveContainer(created.id, true);
  return started;
}

// The old container goes once there is a new one; if that does not start, it comes back.
StatusOr<ContainerInfo> Up::Replace(const Service& service, ContainerSpec spec,
                                    const ContainerInfo& old) {
  MBX_ASSIGN_OR_RETURN(const auto volumes, impl_.backend->AnonymousVolumes(old.id));
  for (const auto& [target, volume] : volumes) {
    const auto mount = std::find_if(spec.mounts.begin(), spec.mounts.end(),
                                    [&](const Mount& entry) { return entry.target == target; });
    if (mount == spec.mounts.end()) {
      spec.mounts.push_back({.kind = Mount::Kind::kVolume, .source = volume, .target = target});
    } else if (mount->kind == Mount::Kind::kVolume && mount->source.empty()) {
      mount->source = volume;
    }
  }
  // The name is the old one's until that is gone.
  spec.unique_name = false;
  MBX_ASSIGN_OR_RETURN(const ContainerInfo created, impl_.backend->CreateContainer(spec));
  reporter_.Report(Kind::kCreated, service.name, created.id.ToString());
  const bool ran = Runs(old);
  Status failure = impl_.backend->StopContainer(old.id, StopWithin(options_.stop_timeout), stop_);
  if (failure.ok()) {
    if (ran) reporter_.Report(Kind::kStopped, service.name, old.id.ToString());
    auto started = impl_.backend->StartContainer(created.id, stop_);
    if (started.ok()) {
      const Status removed = impl_.backend->RemoveContainer(old.id, true);
      if (!removed.ok()) return removed;
      return started;
    }
    failure = started.status();
  }
  (void)impl_.backend->RemoveContainer(created.id, true);
  if (ran) (void)impl_.backend->StartContainer(old.id, {});
  return failure;
}

StatusOr<ContainerInfo> Up::Reconcile(const Service& service, const ImageInfo& image) {
  ContainerSpec spec = service.spec;
  spec.unique_name = true;
  if (!service.network_service.empty()) {
    const Outcome* const target = OutcomeOf(service.network_service);
    const ContainerInfo* const running = target != nullptr && target->container
                                             ? &*target->container
                                             : FindOwn(present_, service.network_service);
    if (running == nullptr) {
      return core::FailedPrecondition(
          "dependency_failed", StrCat("service '", service.network_service, "' has no container"));
    }
    spec.network = StrCat("container:", running->id.ToString());
  }
  Service resolved = service;
  resolved.spec = spec;
  MBX_ASSIGN_OR_RETURN(const std::string hash, ConfigHash(resolved, image.manifest.ToString()));
  spec.labels[kHashLabel] = hash;
  const ContainerInfo* const old = FindOwn(present_, service.name);
  const auto report_start = [&](StatusOr<ContainerInfo> started) {
    if (started.ok()) {
      reporter_.Report(Kind::kStarted, service.name, started->id.ToString());
      for (const std::string& warning : started->warnings) {
        reporter_.Report(Kind::kWarning, service.name, started->id.ToString(), warning);
      }
    }
    return started;
  };
  if (old == nullptr) return report_start(StartNew(service, spec));
  if (options_.force_recreate || LabelOf(old->labels, kHashLabel) != hash) {
    return report_start(Replace(service, std::move(spec), *old));
  }
  if (Runs(*old)) {
    reporter_.Report(Kind::kUnchanged, service.name, old->id.ToString());
    return *old;
  }
  // One that has done what others wait for need not do it again.
  const bool awaited = std::any_of(services_.begin(), services_.end(), [&](const Service* other) {
    return std::any_of(other->depends_on.begin(), other->depends_on.end(),
                       [&](const Dependency& dependency) {
                         return dependency.service == service.name &&
                                dependency.condition == Condition::kCompleted;
                       });
  });
  if (awaited && old->exit && old->exit->code == 0) {
    reporter_.Report(Kind::kUnchanged, service.name, old->id.ToString());
    return *old;
  }
  return report_start(impl_.backend->StartContainer(old->id, stop_));
}

void Up::BringUp(size_t i) {
  Outcome& outcome = outcomes_[i];
  const Service& service = *services_[i];
  outcome.status = stop_.stop_requested() ? core::Cancelled("up") : AwaitDependencies(service);
  if (outcome.status.ok()) {
    auto container = Reconcile(service, *images_[i]);
    if (container.ok()) {
      outcome.container = std::move(*container);
    } else {
      outcome.status = container.status().WithContext(StrCat("service ", service.name));
    }
  }
  if (!outcome.status.ok()) {
    reporter_.Report(Kind::kFailed, service.name, "", outcome.status.message());
  }
}

Status Up::AwaitHealth() {
  for (size_t i = 0; i < services_.size(); ++i) {
    const ContainerInfo& container = *outcomes_[i].container;
    if (container.health == Health::kNone) continue;
    const WaitOptions wait{.condition = WaitCondition::kHealthy, .timeout = options_.timeout};
    MBX_RETURN_IF_ERROR(impl_.backend->WaitFor(container.id, wait, stop_)
                            .status()
                            .WithContext(StrCat("service ", services_[i]->name)));
  }
  return Status();
}

Status Up::Prepare(std::string_view name) {
  MBX_ASSIGN_OR_RETURN(services_,
                       SelectServices(impl_.project, {std::string(name)}, {}, !options_.no_deps));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockProject(impl_, stop_));
  MBX_ASSIGN_OR_RETURN(present_, ListProject(impl_));
  MBX_RETURN_IF_ERROR(ProvideImages());
  MBX_RETURN_IF_ERROR(ProvideNetworks());
  MBX_RETURN_IF_ERROR(ProvideVolumes());
  const Service& service = *services_.back();
  services_.pop_back();
  MBX_RETURN_IF_ERROR(BringAllUp());
  return AwaitDependencies(service);
}

Status Up::BringAllUp() {
  outcomes_.resize(services_.size());
  RunTasks(
      services_.size(), [&](size_t i) { return Before(i); }, [&](size_t i) { BringUp(i); });
  for (const Outcome& outcome : outcomes_) MBX_RETURN_IF_ERROR(outcome.status);
  return Status();
}

Status Up::Run() {
  MBX_ASSIGN_OR_RETURN(services_, SelectServices(impl_.project, options_.services,
                                                 impl_.options.profiles, !options_.no_deps));
  MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockProject(impl_, stop_));
  MBX_ASSIGN_OR_RETURN(present_, ListProject(impl_));
  MBX_RETURN_IF_ERROR(ProvideImages());
  MBX_RETURN_IF_ERROR(ProvideNetworks());
  MBX_RETURN_IF_ERROR(ProvideVolumes());
  MBX_RETURN_IF_ERROR(RemoveOrphans());
  MBX_RETURN_IF_ERROR(BringAllUp());
  return options_.wait ? AwaitHealth() : Status();
}

}  // namespace
}  // namespace compose

inline namespace v1 {

Status Compose::Up(const UpOptions& options, const ComposeEventFn& events, std::stop_token stop) {
  compose::Reporter reporter(events);
  return compose::Up(*impl_, options, reporter, std::move(stop)).Run();
}

Status Compose::Prepare(std::string_view service, bool no_deps, const ComposeEventFn& events,
                        std::stop_token stop) {
  compose::Reporter reporter(events);
  const UpOptions options{.no_deps = no_deps};
  return compose::Up(*impl_, options, reporter, std::move(stop)).Prepare(service);
}

}  // namespace v1
}  // namespace minibox
