// SPDX-License-Identifier: Apache-2.0
// The end of a run, of a container, and of a start that nobody finished.
#include <csignal>

#include "core/errors.h"
#include "core/failpoint.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/monitor_identity.h"
#include "runtime/restart_policy.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

ExitStatus Unobserved(std::string error) {
  ExitStatus exit;
  exit.code = -1;
  exit.error = std::move(error);
  exit.at = std::chrono::system_clock::now();
  return exit;
}

}  // namespace

StatusOr<Runtime::Impl::Locked> Runtime::Impl::Lock(const ContainerId& id,
                                                    std::stop_token stop) const {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerDir dir, runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(core::FileLock lock, dir.Lock(*images->root, stop));
  MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, dir.ReadRecord());
  return Locked{std::move(dir), std::move(lock), std::move(record)};
}

StatusOr<runtime::MonitorConnection> Runtime::Impl::Connect(
    const runtime::ContainerRecord& record) const {
  auto dir = run_dir.OpenDir(record.info.id.ToString());
  auto connection = dir.ok() ? runtime::ConnectMonitor(dir->fd())
                             : StatusOr<runtime::MonitorConnection>(dir.status());
  if (connection.ok() || connection.status().code() != StatusCode::kNotFound) return connection;
  // Somebody may have swept the directory of sockets: a container that runs is left alone.
  // One that has recorded the exit is about to end itself.
  const auto files = runtime::ContainerDir::Open(*images->root, record.info.id);
  const auto exit = files.ok() ? files->ReadExit()
                               : StatusOr<std::optional<ExitStatus>>(std::optional<ExitStatus>());
  const bool recorded = exit.ok() && exit->has_value();
  if (record.boot_id == boot_id_ && !recorded && runtime::IsAlive(record.monitor)) {
    return core::Internal(core::StrCat("the monitor of container ", record.info.id.ToString(),
                                       " runs, but its socket is gone"));
  }
  return core::Error(StatusCode::kUnavailable, "", "the container's monitor is gone");
}

void Runtime::Impl::KillRun(const runtime::ContainerRecord& record) {
  auto connection = Connect(record);
  // What it leaves, ReleaseRun kills by way of the cgroup.
  if (!connection.ok() || !connection->Signal(SIGKILL).ok()) return;
  if (record.info.state == ContainerState::kPaused) {
    // Frozen processes of version 1 do not die.
    auto cgroup = cgroups->Open(record.info.id.ToString());
    if (cgroup.ok()) (void)(*cgroup)->Freeze(false);
  }
  (void)connection->WaitExit();
}

void Runtime::Impl::ReleaseRun(const ContainerId& id) {
  const std::string name = id.ToString();
  const auto note = [&name](const Status& status) {
    if (status.ok() || status.code() == StatusCode::kNotFound) return;
    core::LogWarning("runtime", core::StrCat("clean-up of container ", name, ": ", status.message(),
                                             ", going on"));
  };
  auto cgroup = cgroups->Open(name);
  if (cgroup.ok()) {
    note((*cgroup)->KillAll());
    note((*cgroup)->Remove());
  } else {
    note(cgroup.status());
  }
  note(net->Release(name));
  note(id_ranges.Release(name));
  note(run_dir.RemoveAll(name));
}

StatusOr<ExitStatus> Runtime::Impl::RecordExit(Locked& container,
                                               const std::optional<ExitStatus>& told) {
  MBX_ASSIGN_OR_RETURN(std::optional<ExitStatus> exit, container.dir.ReadExit());
  if (!exit) exit = told;
  if (!exit) {
    exit = Unobserved(container.record.boot_id == boot_id_ ? "monitor lost" : "host restarted");
  }
  ReleaseRun(container.id(), container.record.info.project);
  runtime::ReapOwnChild(container.record.monitor);
  runtime::ContainerRecord& record = container.record;
  ContainerInfo& info = record.info;
  info.state = ContainerState::kExited;
  info.pid = 0;
  info.exit = exit;
  info.ip.clear();
  info.mac.clear();
  info.gateway.clear();
  info.networks.clear();
  info.health = Health::kNone;
  runtime::PlanRestart(record, runtime::Ended::kRun, exit->at);
  MBX_FAILPOINT("finish.record");
  MBX_RETURN_IF_ERROR(container.dir.WriteRecord(record));
  snapshot_->Touch();
  EmitExit(info);
  if (info.next_restart) ScheduleRestart(info.id, *info.next_restart);
  return *exit;
}

StatusOr<ExitStatus> Runtime::Impl::FinishLocked(Locked container,
                                                 const std::optional<ExitStatus>& told) {
  MBX_ASSIGN_OR_RETURN(const ExitStatus exit, RecordExit(container, told));
  auto config = container.dir.ReadConfig();
  if (config.ok() && config->spec.remove_on_exit) {
    const std::string name = container.id().ToString();
    const Status removed = RemoveLocked(std::move(container));
    if (!removed.ok()) {
      core::LogWarning("runtime", core::StrCat("removal of container ", name, ": ",
                                               removed.message(), ", left for the next recovery"));
    }
  }
  return exit;
}

StatusOr<ExitStatus> Runtime::Impl::FinishRun(const ContainerId& id,
                                              const runtime::MonitorIdentity& monitor,
                                              const std::optional<ExitStatus>& told,
                                              std::stop_token stop) {
  auto container = Lock(id, stop);
  if (!container.ok()) {
    // Removed meanwhile, with its record.
    if (container.status().reason() == "container_not_found" && told) return *told;
    return container.status();
  }
  const ContainerInfo& info = container->record.info;
  if (!runtime::SameRun(container->record.monitor, monitor) || !runtime::IsLive(info.state)) {
    if (runtime::SameRun(container->record.monitor, monitor) && info.exit) return *info.exit;
    return told ? *told : Unobserved("recorded by somebody else and replaced by another run");
  }
  return FinishLocked(std::move(*container), told);
}

Status Runtime::Impl::RemoveLocked(Locked container) {
  runtime::ContainerRecord& record = container.record;
  const std::string name = container.id().ToString();
  // A provisional record goes away anyhow, even if the disk has no room for another word.
  if (record.info.state != ContainerState::kRemoving && !record.provisional) {
    record.info.state = ContainerState::kRemoving;
    MBX_RETURN_IF_ERROR(container.dir.WriteRecord(record));
  }
  if (run_dir.Exists(name)) {
    ReleaseRun(container.id(), record.info.project);
    runtime::ReapOwnChild(record.monitor);
  }
  auto config = container.dir.ReadConfig();
  if (config.ok() && (!config->spec.ip.empty() || !config->spec.mac.empty())) {
    const Status forgotten = net->Forget(name);
    if (!forgotten.ok()) {
      core::LogWarning("runtime",
                       core::StrCat("addresses of container ", name, ": ", forgotten.message(),
                                    ", left for the next recovery"));
    }
  }
  for (const std::string& volume :
       config.ok() ? config->anonymous_volumes : std::vector<std::string>()) {
    const Status removed = images->volumes.Remove(volume);
    if (!removed.ok() && removed.code() != StatusCode::kNotFound) {
      core::LogWarning("runtime", core::StrCat("volume ", volume, " of container ", name, ": ",
                                               removed.message(), ", left behind"));
    }
  }
  MBX_ASSIGN_OR_RETURN(store::OperationDir operation, images->root->NewOperation("remove"));
  MBX_RETURN_IF_ERROR(container.dir.MoveInto(*images->root, operation));
  snapshot_->Touch();
  if (!record.provisional) Emit("container.remove", record.info);
  // Trees take milliseconds to delete, and nobody has to wait for that.
  auto rest = std::make_shared<store::OperationDir>(std::move(operation));
  pool_->Submit([rest = std::move(rest)]() mutable { rest.reset(); });
  return Status();
}

Status Runtime::Impl::RollBackLocked(Locked container) {
  KillRun(container.record);
  ReleaseRun(container.id(), container.record.info.project);
  if (container.record.provisional) return RemoveLocked(std::move(container));
  container.record.starting = false;
  container.record.info.error = "the start was interrupted";
  if (container.record.info.next_restart) {
    // It was the policy's; that it failed is no reason to give up.
    runtime::PlanRestart(container.record, runtime::Ended::kFailedStart,
                         std::chrono::system_clock::now());
  }
  snapshot_->Touch();
  MBX_RETURN_IF_ERROR(container.dir.WriteRecord(container.record));
  const auto next = container.record.info.next_restart;
  if (next) ScheduleRestart(container.id(), *next);
  return Status();
}

}  // namespace v1
}  // namespace minibox
