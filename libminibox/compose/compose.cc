// SPDX-License-Identifier: Apache-2.0
#include "minibox/compose.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "compose/compose_impl.h"
#include "compose/service_reader.h"
#include "core/errors.h"
#include "core/id.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox {
namespace compose {
namespace {

constexpr size_t kMaxConfigFile = 16u << 20;

}  // namespace

std::string_view LabelOf(const Labels& labels, const char* key) {
  const auto found = labels.find(key);
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

void Reporter::Report(ComposeEvent::Kind kind, std::string_view service, std::string_view id,
                      std::string_view text) {
  if (!events_) return;
  const std::lock_guard lock(mutex_);
  events_({.kind = kind,
           .service = std::string(service),
           .id = std::string(id),
           .text = std::string(text)});
}

StatusOr<core::FileLock> LockProject(const State& impl, std::stop_token stop) {
  const std::string path = impl.options.lock_dir.string();
  std::error_code error;
  std::filesystem::create_directories(impl.options.lock_dir, error);
  const core::Fd dir(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.valid()) return core::SysError("open", path);
  return core::FileLock::Acquire(dir.get(), core::StrCat(impl.project.name, ".lock"),
                                 std::move(stop));
}

StatusOr<std::vector<ServiceStatus>> ListProject(const State& impl) {
  MBX_ASSIGN_OR_RETURN(std::vector<ContainerInfo> containers, impl.backend->ListContainers());
  std::vector<ServiceStatus> found;
  for (ContainerInfo& info : containers) {
    if (LabelOf(info.labels, kProjectLabel) != impl.project.name) continue;
    std::string service(LabelOf(info.labels, kServiceLabel));
    found.push_back({std::move(service), std::move(info)});
  }
  std::sort(found.begin(), found.end(), [](const ServiceStatus& a, const ServiceStatus& b) {
    return std::tie(a.service, a.container.id) < std::tie(b.service, b.container.id);
  });
  return found;
}

const ContainerInfo* FindOwn(const std::vector<ServiceStatus>& all, std::string_view service) {
  const ContainerInfo* found = nullptr;
  for (const ServiceStatus& entry : all) {
    if (entry.service != service || entry.container.labels.count(kOneOffLabel) != 0) continue;
    // An `up` that was killed may have left two: the newer one is what it wanted.
    if (found == nullptr || entry.container.created > found->created) found = &entry.container;
  }
  return found;
}

StatusOr<std::vector<ServiceStatus>> Choose(const State& impl,
                                            const std::vector<ServiceStatus>& all,
                                            const std::vector<std::string>& services) {
  if (services.empty()) return all;
  std::vector<ServiceStatus> chosen;
  for (const std::string& name : services) {
    bool known = impl.project.Find(name) != nullptr;
    for (const ServiceStatus& entry : all) {
      if (entry.service != name) continue;
      known = true;
      chosen.push_back(entry);
    }
    if (!known) {
      return core::NotFound("service_not_found",
                            core::StrCat("there is no service '", core::EscapeControl(name),
                                         "' in project ", impl.project.name));
    }
  }
  return chosen;
}

StatusOr<std::string> ConfigHash(const Service& service, std::string_view image) {
  core::Sha256 hash;
  // Each part with its length, so that no two lists of parts are the same bytes.
  const auto add = [&](std::string_view part) {
    hash.Update(core::StrCat(part.size(), ":"));
    hash.Update(part);
  };
  add("1");
  add(image);
  add(service.canonical);
  add(service.spec.name);
  add(service.spec.network);
  for (const std::string& variable : service.spec.env) add(variable);
  add("labels");
  for (const auto& [key, value] : service.spec.labels) {
    add(key);
    add(value);
  }
  add("mounts");
  for (const Mount& mount : service.spec.mounts) {
    add(core::StrCat(static_cast<int>(mount.kind)));
    add(mount.source);
    add(mount.target);
    add(mount.options);
  }
  add("files");
  for (const auto& file : service.files) {
    MBX_ASSIGN_OR_RETURN(const std::string content, ReadProjectFile(file, kMaxConfigFile));
    add(content);
  }
  return hash.FinishHex();
}

StopOptions StopWithin(std::optional<std::chrono::seconds> grace) {
  StopOptions options;
  if (grace) options.grace = *grace;
  return options;
}

}  // namespace compose

inline namespace v1 {

ComposeBackend::~ComposeBackend() = default;

Compose::Compose(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<Compose> Compose::Load(const ComposeOptions& options,
                                std::shared_ptr<ComposeBackend> backend) {
  MBX_ASSIGN_OR_RETURN(compose::Project project, compose::LoadProject(options));
  return Compose(std::make_shared<Impl>(Impl{{options, std::move(backend), std::move(project)}}));
}

StatusOr<Compose> Compose::Attach(const ComposeOptions& options,
                                  std::shared_ptr<ComposeBackend> backend) {
  compose::Project project;
  project.name = compose::ProjectName(options.project);
  if (project.name.empty()) return core::InvalidArgument("project", "must be given");
  return Compose(std::make_shared<Impl>(Impl{{options, std::move(backend), std::move(project)}}));
}

const std::string& Compose::project() const { return impl_->project.name; }
const std::vector<std::string>& Compose::warnings() const { return impl_->project.warnings; }

std::vector<std::string> Compose::services() const {
  std::vector<std::string> names;
  const auto order = compose::SelectServices(impl_->project, {}, impl_->options.profiles, true);
  if (!order.ok()) return names;  // a project that was loaded has an order
  for (const compose::Service* service : *order) names.push_back(service->name);
  return names;
}

namespace {

void EscapeVariables(compose::Node& node) {
  node.text = compose::EscapeDollars(node.text);
  for (compose::Node& item : node.items) EscapeVariables(item);
  for (compose::Member& member : node.members) EscapeVariables(member.value);
}

}  // namespace

std::string Compose::ConfigYaml() const {
  compose::Node root = impl_->project.resolved;
  EscapeVariables(root);
  std::erase_if(root.members, [](const compose::Member& member) { return member.key == "name"; });
  root.members.insert(root.members.begin(), {"name", {}, compose::MakeText(impl_->project.name)});
  return compose::EmitYaml(root);
}

StatusOr<std::map<std::string, std::string>> Compose::ConfigHashes() const {
  std::map<std::string, std::string> hashes;
  for (const compose::Service& service : impl_->project.services) {
    const auto image = impl_->backend->GetImage(service.spec.image);
    if (!image.ok() && image.status().reason() != "image_not_found") return image.status();
    MBX_ASSIGN_OR_RETURN(
        hashes[service.name],
        compose::ConfigHash(service, image.ok() ? image->manifest.ToString() : service.spec.image));
  }
  return hashes;
}

StatusOr<ContainerSpec> Compose::OneOff(std::string_view name) const {
  const compose::Service* const service = impl_->project.Find(name);
  if (service == nullptr) {
    return core::NotFound("service_not_found",
                          core::StrCat("there is no service '", core::EscapeControl(name),
                                       "' in project ", impl_->project.name));
  }
  ContainerSpec spec = service->spec;
  MBX_ASSIGN_OR_RETURN(const auto all, compose::ListProject(*impl_));
  if (!service->network_service.empty()) {
    const ContainerInfo* const target = compose::FindOwn(all, service->network_service);
    if (target == nullptr) {
      return core::FailedPrecondition(
          "container_not_running",
          core::StrCat("service '", service->network_service, "' has no container"));
    }
    spec.network = core::StrCat("container:", target->id.ToString());
  }
  spec.ports.clear();
  spec.ip.clear();
  spec.restart = {};
  spec.remove_on_exit = true;
  spec.name = core::StrCat(impl_->project.name, "-", name, "-run-", core::RandomHex(4));
  spec.labels[compose::kOneOffLabel] = "true";
  // It is not what others mean by the service's name.
  spec.labels.erase("minibox.aliases");
  return spec;
}

StatusOr<std::vector<ServiceStatus>> Compose::Ps() const { return compose::ListProject(*impl_); }

}  // namespace v1
}  // namespace minibox
