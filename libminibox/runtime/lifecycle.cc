// SPDX-License-Identifier: Apache-2.0
// Pause, rename, update, prune (spec §12.11, §12.13).
#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/generated_files.h"
#include "runtime/launch_plan.h"
#include "runtime/names.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_validate.h"
#include "runtime/state_machine.h"
#include "runtime/update.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr size_t kMaxName = 128, kMaxHostname = 63;

bool HasLabel(const Labels& labels, const std::string& wanted) {
  const size_t equals = wanted.find('=');
  const auto found = labels.find(wanted.substr(0, equals));
  return found != labels.end() &&
         (equals == std::string::npos || found->second == wanted.substr(equals + 1));
}

// The host name, and the variable that repeats it, follow the name unless they were chosen.
void FollowName(std::string_view name, const ContainerId& id, ContainerSpec& spec) {
  const std::string before = spec.name.empty() ? id.ToString() : spec.name.substr(0, kMaxHostname);
  spec.name = name;
  if (spec.hostname != before) return;
  spec.hostname = spec.name.substr(0, kMaxHostname);
  const auto variable = std::find(spec.env.begin(), spec.env.end(), "HOSTNAME=" + before);
  if (variable != spec.env.end()) *variable = "HOSTNAME=" + spec.hostname;
}

}  // namespace

Status Runtime::Impl::Pause(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  ContainerInfo& info = container.record.info;
  MBX_RETURN_IF_ERROR(runtime::CheckCanPause(info));
  MBX_ASSIGN_OR_RETURN(const auto cgroup, cgroups->Open(id.ToString()));
  MBX_RETURN_IF_ERROR(cgroup->Freeze(true));
  info.state = ContainerState::kPaused;
  const Status written = container.dir.WriteRecord(container.record);
  if (!written.ok()) (void)cgroup->Freeze(false);  // as if nothing had been asked
  snapshot_->Touch();
  if (written.ok()) Emit("container.pause", info);
  return written;
}

Status Runtime::Impl::Unpause(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  MBX_RETURN_IF_ERROR(runtime::CheckCanUnpause(container.record.info));
  MBX_RETURN_IF_ERROR(ThawLocked(container));
  Emit("container.unpause", container.record.info);
  return Status();
}

Status Runtime::Impl::ThawLocked(Locked& container) {
  ContainerInfo& info = container.record.info;
  if (info.state != ContainerState::kPaused) return Status();
  MBX_ASSIGN_OR_RETURN(const auto cgroup, cgroups->Open(info.id.ToString()));
  MBX_RETURN_IF_ERROR(cgroup->Freeze(false));
  info.state = ContainerState::kRunning;
  snapshot_->Touch();
  return container.dir.WriteRecord(container.record);
}

Status Runtime::Impl::Rename(const ContainerId& id, std::string_view name) {
  MBX_RETURN_IF_ERROR(runtime::ValidateName(name, kMaxName, "name"));
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  MBX_ASSIGN_OR_RETURN(const core::FileLock names, LockNames());
  ContainerInfo& info = container.record.info;
  if (info.state == ContainerState::kRemoving) return runtime::CheckCanStart(info);
  MBX_RETURN_IF_ERROR(CheckNameIsFree(std::string(name), &id));
  MBX_ASSIGN_OR_RETURN(runtime::ContainerConfig config, container.dir.ReadConfig());
  // What it answers to until it is started again.
  const std::string hostname = config.spec.hostname;
  FollowName(name, id, config.spec);
  info.name = name;
  // The record is what names are looked up in; the configuration follows at the next chance if
  // this is the last that we do.
  MBX_RETURN_IF_ERROR(container.dir.WriteRecord(container.record));
  MBX_RETURN_IF_ERROR(container.dir.WriteConfig(config));
  snapshot_->Touch();
  Emit("container.rename", info);
  if (!runtime::IsLive(info.state) || info.ip.empty()) return Status();
  const Labels& labels = config.spec.labels;
  MBX_RETURN_IF_ERROR(net->Rename(id.ToString(), runtime::DnsNames(info.name, hostname, labels, id),
                                  runtime::HostsNames(info.name, labels, id)));
  if (!config.spec.project.empty()) {
    UpdateHosts(config.spec.project);
    return Status();
  }
  MBX_ASSIGN_OR_RETURN(const core::FileLock hosts, LockHosts());
  return WriteHosts(container.dir, runtime::HostsText(config.spec, id, info.ip, info.gateway));
}

Status Runtime::Impl::Update(const ContainerId& id, const ContainerUpdate& update) {
  MBX_ASSIGN_OR_RETURN(Locked container, Lock(id));
  ContainerInfo& info = container.record.info;
  if (info.state == ContainerState::kRemoving) return runtime::CheckCanStart(info);
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig before, container.dir.ReadConfig());
  runtime::ContainerConfig config = before;
  MBX_ASSIGN_OR_RETURN(const kernel::CgroupLimits limits,
                       runtime::ApplyUpdate(update, host, config.spec));
  std::unique_ptr<kernel::Cgroup> cgroup;
  if (runtime::IsLive(info.state) && !runtime::IsEmpty(limits)) {
    MBX_ASSIGN_OR_RETURN(cgroup, cgroups->Open(id.ToString()));
    MBX_RETURN_IF_ERROR(cgroup->Apply(limits));
  }
  Status written = container.dir.WriteConfig(config);
  if (written.ok() && info.restart != config.spec.restart) {
    info.restart = config.spec.restart;
    // A start that the former policy had in mind is off if the new one has none.
    if (info.restart.kind == RestartPolicy::Kind::kNo) info.next_restart.reset();
    written = container.dir.WriteRecord(container.record);
    if (!written.ok()) (void)container.dir.WriteConfig(before);
  }
  snapshot_->Touch();
  if (!written.ok() && cgroup) {
    const Status undone =
        cgroup->Apply(runtime::LimitsBefore(limits, before.spec.resources, host.online_cpus));
    if (!undone.ok()) {
      core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ": ", undone.message(),
                                               ", limits of a failed update stay in force"));
    }
  }
  if (written.ok()) Emit("container.update", info);
  return written;
}

StatusOr<ContainerPruneReport> Runtime::Impl::Prune(const ContainerPruneOptions& how) {
  ContainerPruneReport report;
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerInfo> all, List());
  const auto goes = [&how](const ContainerInfo& info) {
    const bool rests = info.state == ContainerState::kCreated ||
                       (info.state == ContainerState::kExited && !info.next_restart);
    return rests && (!how.until || info.created < *how.until) &&
           std::all_of(how.labels.begin(), how.labels.end(),
                       [&](const std::string& label) { return HasLabel(info.labels, label); });
  };
  for (const ContainerInfo& seen : all) {
    if (!goes(seen)) continue;
    auto dir = runtime::ContainerDir::Open(*images->root, seen.id);
    auto lock = dir.ok() ? dir->TryLock(*images->root) : dir.status();
    if (!lock.ok() || !*lock) continue;  // removed, or in use
    auto record = dir->ReadRecord();
    if (!record.ok() || !goes(record->info)) continue;
    const uint64_t bytes = dir->DiskBytes();
    if (!how.dry_run) {
      const Status removed = RemoveLocked({std::move(*dir), std::move(**lock), std::move(*record)});
      if (!removed.ok()) {
        core::LogWarning("runtime", core::StrCat("container ", seen.id.ToString(), ": ",
                                                 removed.message(), ", not pruned"));
        continue;
      }
    }
    report.removed.push_back(seen.id);
    report.bytes_freed += bytes;
  }
  return report;
}

}  // namespace v1
}  // namespace minibox
