// SPDX-License-Identifier: Apache-2.0
#include "compose/fake_backend.h"

#include "core/errors.h"
#include "core/sha256.h"
#include "core/strings.h"

namespace minibox::compose {

using core::StrCat;

std::vector<std::string> FakeBackend::TakeCalls() {
  const std::lock_guard lock(mutex);
  return std::exchange(calls, {});
}

const ContainerInfo* FakeBackend::Named(const std::string& name) {
  const std::lock_guard lock(mutex);
  for (const auto& [id, info] : containers) {
    if (info.name == name) return &info;
  }
  return nullptr;
}

Status FakeBackend::Call(const std::string& what) {
  calls.push_back(what);
  return failing.count(what) == 0 ? Status() : core::Internal(StrCat(what, " fails"));
}

StatusOr<ContainerInfo*> FakeBackend::Get(const ContainerId& id) {
  const auto found = containers.find(id.ToString());
  if (found == containers.end()) return core::NotFound("container_not_found", "not found");
  return &found->second;
}

StatusOr<std::vector<ContainerInfo>> FakeBackend::ListContainers() {
  const std::lock_guard lock(mutex);
  std::vector<ContainerInfo> list;
  for (const auto& [id, info] : containers) list.push_back(info);
  return list;
}

StatusOr<ContainerInfo> FakeBackend::CreateContainer(const ContainerSpec& spec) {
  const std::lock_guard lock(mutex);
  if (Status status = Call(StrCat("create ", spec.name)); !status.ok()) return status;
  for (const auto& [id, info] : containers) {
    if (spec.unique_name && info.name == spec.name) {
      return core::FailedPrecondition("name_in_use", "name is in use");
    }
  }
  const std::string id = StrCat("0000000", next_);
  ContainerInfo info{.id = *ContainerId::Parse(id.substr(id.size() - 8))};
  info.name = spec.name;
  info.image = spec.image;
  info.labels = spec.labels;
  info.created = TimePoint(std::chrono::seconds(next_++));
  if (spec.healthcheck) info.health = Health::kStarting;
  specs[info.id.ToString()] = spec;
  return containers.emplace(info.id.ToString(), info).first->second;
}

StatusOr<ContainerInfo> FakeBackend::StartContainer(const ContainerId& id, std::stop_token) {
  const std::lock_guard lock(mutex);
  const auto info = Get(id);
  if (!info.ok()) return info.status();
  if (Status status = Call(StrCat("start ", (*info)->name)); !status.ok()) return status;
  (*info)->state = ContainerState::kRunning;
  if (const auto ends = exit_codes.find((*info)->name); ends != exit_codes.end()) {
    (*info)->state = ContainerState::kExited;
    (*info)->exit = ExitStatus{.code = ends->second};
  }
  return **info;
}

Status FakeBackend::StopContainer(const ContainerId& id, const StopOptions&, std::stop_token) {
  const std::lock_guard lock(mutex);
  const auto info = Get(id);
  if (!info.ok()) return info.status();
  if (Status status = Call(StrCat("stop ", (*info)->name)); !status.ok()) return status;
  (*info)->state = ContainerState::kExited;
  (*info)->exit = ExitStatus{.code = 143};
  return Status();
}

Status FakeBackend::KillContainer(const ContainerId& id, int signal) {
  const std::lock_guard lock(mutex);
  const auto info = Get(id);
  if (!info.ok()) return info.status();
  return Call(StrCat("kill ", signal, " ", (*info)->name));
}

Status FakeBackend::RemoveContainer(const ContainerId& id, bool) {
  const std::lock_guard lock(mutex);
  const auto info = Get(id);
  if (!info.ok()) return info.status();
  if (Status status = Call(StrCat("remove ", (*info)->name)); !status.ok()) return status;
  containers.erase(id.ToString());
  return Status();
}

StatusOr<ContainerInfo> FakeBackend::WaitFor(const ContainerId& id, const WaitOptions& options,
                                             std::stop_token) {
  const std::lock_guard lock(mutex);
  const auto info = Get(id);
  if (!info.ok()) return info.status();
  const bool health = options.condition == WaitCondition::kHealthy;
  if (Status status = Call(StrCat("wait ", (*info)->name)); !status.ok()) return status;
  const bool never = health ? unhealthy.count((*info)->name) != 0 : !(*info)->exit;
  if (never) return core::Error(StatusCode::kDeadlineExceeded, "timeout", "timeout");
  return **info;
}

StatusOr<std::map<std::string, std::string>> FakeBackend::AnonymousVolumes(const ContainerId& id) {
  const std::lock_guard lock(mutex);
  std::map<std::string, std::string> found;
  for (const Mount& mount : specs[id.ToString()].mounts) {
    if (mount.kind != Mount::Kind::kVolume) continue;
    if (mount.source.empty()) found[mount.target] = StrCat("anonymous-of-", id.ToString());
  }
  return found;
}

Status FakeBackend::ReadLogs(const ContainerId& id, const LogOptions& options, const OutputFn& sink,
                             std::stop_token) {
  std::string text;
  {
    const std::lock_guard lock(mutex);
    const auto info = Get(id);
    if (!info.ok()) return info.status();
    text = logs[(*info)->name];
  }
  if (options.since) text.clear();  // all of it was written before
  // In pieces that end anywhere.
  constexpr size_t kPiece = 7;
  for (size_t at = 0; at < text.size(); at += kPiece) {
    const Status status = sink({Stream::kStdout, std::string_view(text).substr(at, kPiece)});
    if (!status.ok()) return status;
  }
  return Status();
}

StatusOr<ImageInfo> FakeBackend::GetImage(std::string_view name) {
  const std::lock_guard lock(mutex);
  if (images.count(std::string(name)) == 0) {
    return core::NotFound("image_not_found", "image not found");
  }
  const auto given = image_digests.find(std::string(name));
  const std::string digest =
      StrCat("sha256:", core::Sha256::Hex(given == image_digests.end() ? name : given->second));
  return ImageInfo{
      .name = std::string(name), .id = *Digest::Parse(digest), .manifest = *Digest::Parse(digest)};
}

StatusOr<ImageInfo> FakeBackend::BuildImage(const BuildOptions& options, const BuildEventFn& events,
                                            std::stop_token) {
  {
    const std::lock_guard lock(mutex);
    if (Status status = Call(StrCat("build ", options.image)); !status.ok()) return status;
    images.insert(options.image);
  }
  if (Status status = events({"a line"}); !status.ok()) return status;
  return GetImage(options.image);
}

StatusOr<ImageInfo> FakeBackend::PullImage(const ImageRef& image, const PullOptions& options,
                                           std::stop_token) {
  {
    const std::lock_guard lock(mutex);
    if (Status status = Call(StrCat("pull ", image.Shown())); !status.ok()) return status;
    if (pullable.count(image.Shown()) == 0) {
      return core::NotFound("image_not_found", "manifest unknown");
    }
    images.insert(image.Shown());
  }
  options.log("a line");
  return GetImage(image.Shown());
}

StatusOr<std::vector<NetworkInfo>> FakeBackend::ListNetworks() {
  const std::lock_guard lock(mutex);
  std::vector<NetworkInfo> list;
  for (const auto& [name, info] : networks) list.push_back(info);
  return list;
}

Status FakeBackend::CreateNetwork(const NetworkSpec& spec) {
  const std::lock_guard lock(mutex);
  if (Status status = Call(StrCat("network ", spec.name)); !status.ok()) return status;
  NetworkInfo info;
  info.name = spec.name;
  info.subnet = spec.subnet;
  info.internal = spec.internal;
  info.labels = spec.labels;
  networks[spec.name] = std::move(info);
  return Status();
}

Status FakeBackend::RemoveNetwork(std::string_view name) {
  const std::lock_guard lock(mutex);
  networks.erase(std::string(name));
  return Call(StrCat("remove network ", name));
}

StatusOr<std::vector<VolumeInfo>> FakeBackend::ListVolumes() {
  const std::lock_guard lock(mutex);
  std::vector<VolumeInfo> list;
  for (const auto& [name, info] : volumes) list.push_back(info);
  return list;
}

Status FakeBackend::CreateVolume(std::string_view name, const Labels& labels) {
  const std::lock_guard lock(mutex);
  VolumeInfo info;
  info.name = name;
  info.labels = labels;
  volumes[info.name] = info;
  return Call(StrCat("volume ", name));
}

Status FakeBackend::RemoveVolume(std::string_view name) {
  const std::lock_guard lock(mutex);
  volumes.erase(std::string(name));
  return Call(StrCat("remove volume ", name));
}

}  // namespace minibox::compose
