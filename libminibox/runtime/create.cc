// SPDX-License-Identifier: Apache-2.0
// From a request to a record.
#include <fcntl.h>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/id.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/names.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_resolve.h"
#include "runtime/spec_validate.h"
#include "runtime/start_failure.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr int kIdDigits = 8;
constexpr int kIdAttempts = 16;
constexpr std::string_view kNamesLock = ".names";

}  // namespace

StatusOr<core::FileLock> Runtime::Impl::LockNames() const {
  MBX_ASSIGN_OR_RETURN(const core::Fd containers,
                       images->root->dir().OpenAt(runtime::kContainers, O_RDONLY | O_DIRECTORY));
  return core::FileLock::Acquire(containers.get(), kNamesLock);
}

Status Runtime::Impl::CheckNameIsFree(const std::string& name, const ContainerId* but) const {
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids,
                       runtime::ContainerDir::List(*images->root));
  for (const ContainerId& id : ids) {
    if (but != nullptr && id == *but) continue;
    auto dir = runtime::ContainerDir::Open(*images->root, id);
    if (!dir.ok()) continue;
    auto record = dir->ReadRecord();
    if (record.ok() && record->info.name == name) {
      return core::FailedPrecondition(
                 "name_in_use",
                 core::StrCat("name '", name, "' is held by container ", id.ToString()))
          .WithField("name");
    }
  }
  return Status();
}

StatusOr<Runtime::Impl::Locked> Runtime::Impl::CreateLocked(const ContainerSpec& asked,
                                                            bool provisional) {
  MBX_RETURN_IF_ERROR(runtime::ValidateSpec(asked, host));
  ContainerSpec spec = asked;
  MBX_RETURN_IF_ERROR(ResolveSharedNetwork(spec));
  // The record will protect the image as soon as it exists; until then the lease does.
  MBX_FAILPOINT("create.lease");
  MBX_ASSIGN_OR_RETURN(Store::Impl::Leased leased, images->ResolveLeased(spec.image, "container"));
  const Store::Impl::Image& image = leased.image;

  std::optional<core::FileLock> names;
  if (spec.unique_name && !spec.name.empty()) {
    MBX_ASSIGN_OR_RETURN(names, LockNames());
    MBX_RETURN_IF_ERROR(CheckNameIsFree(spec.name));
  }

  std::vector<std::string> anonymous;
  absl::Cleanup remove_volumes = [&] {
    for (const std::string& name : anonymous) (void)images->volumes.Remove(name);
  };
  for (int attempt = 0;; ++attempt) {
    MBX_ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(core::RandomHex(kIdDigits)));
    MBX_ASSIGN_OR_RETURN(runtime::ContainerConfig config,
                         runtime::ResolveSpec(spec, image.config, id));
    config.reference = image.info.reference;
    config.image_digest = image.info.manifest.ToString();
    size_t used = 0;
    for (Mount& mount : config.spec.mounts) {
      if (mount.kind != Mount::Kind::kVolume || !mount.source.empty()) continue;
      if (used == anonymous.size()) {
        MBX_FAILPOINT("create.volume");
        MBX_ASSIGN_OR_RETURN(const VolumeInfo volume,
                             images->volumes.Create("", {}, &leased.lease));
        anonymous.push_back(volume.name);
      }
      mount.source = anonymous[used++];
    }
    config.anonymous_volumes = anonymous;
    runtime::ContainerRecord record = runtime::NewRecord(id, config);
    record.provisional = provisional;
    auto created = runtime::ContainerDir::Create(*images->root, config, record);
    if (!created.ok()) {
      if (created.status().code() == StatusCode::kAlreadyExists && attempt < kIdAttempts) continue;
      return created.status();
    }
    std::move(remove_volumes).Cancel();
    Locked container{std::move(created->dir), std::move(created->lock), std::move(record)};
    const Status claimed = ClaimNetworks(config.spec, id);
    if (claimed.ok()) return container;
    const Status removed = RemoveLocked(std::move(container));
    if (!removed.ok()) {
      core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ", which was refused: ",
                                               removed.message(), ", left for the next recovery"));
    }
    return claimed;
  }
}

Status Runtime::Impl::ClaimNetworks(const ContainerSpec& spec, const ContainerId& id) {
  if (!runtime::IsBridged(spec.network)) return Status();
  // Nothing to look up or to claim.
  if (spec.network == "bridge" && spec.ip.empty() && spec.mac.empty()) return Status();
  return net->Claim(runtime::PlanEndpoints(spec, id));
}

StatusOr<ContainerInfo> Runtime::Impl::Create(const ContainerSpec& spec) {
  MBX_ASSIGN_OR_RETURN(Locked container, CreateLocked(spec, /*provisional=*/false));
  snapshot_->Touch();
  Emit("container.create", container.record.info, {}, container.record.info.created);
  return std::move(container.record.info);
}

StatusOr<Runtime::Impl::Started> Runtime::Impl::CreateAndStart(const ContainerSpec& spec,
                                                               bool capture, std::stop_token stop) {
  auto created = CreateLocked(spec, /*provisional=*/true);
  if (!created.ok()) return runtime::AsStartFailure(created.status());
  Locked container = std::move(*created);
  auto started = StartLocked(container, capture, stop);
  if (started.ok()) return started;
  const ContainerId id = container.id();
  const Status removed = RemoveLocked(std::move(container));
  if (!removed.ok()) {
    core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ", which did not start: ",
                                             removed.message(), ", left for the next recovery"));
  }
  return started.status();
}

}  // namespace v1
}  // namespace minibox
