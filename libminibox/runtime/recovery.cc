// SPDX-License-Identifier: Apache-2.0
// What an opening runtime finds (spec §12.20).
//
// The lock tells a start that is under way from one whose process died: the former's is held.
// Only what belongs to this data root and run directory is touched: other groups below the
// same cgroup parent, and links of the same name, may be another data root's.
#include <algorithm>
#include <chrono>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/run_claim.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_resolve.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{20}, kLongestPause{500};

// A record that does not parse is set aside; what can be said without it is that the container
// exists and how it is configured.
StatusOr<runtime::ContainerRecord> RebuildRecord(const runtime::ContainerDir& dir) {
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  MBX_RETURN_IF_ERROR(dir.SetAside("state.json"));
  runtime::ContainerRecord record = runtime::NewRecord(dir.id(), config);
  record.info.state = ContainerState::kExited;
  record.info.exit = ExitStatus{
      .code = -1, .error = "the record was damaged", .at = std::chrono::system_clock::now()};
  MBX_RETURN_IF_ERROR(dir.WriteRecord(record));
  return record;
}

}  // namespace

Status Runtime::Impl::Settle(Locked container, bool opening) {
  const ContainerId id = container.id();
  const ContainerInfo& info = container.record.info;
  if (info.state == ContainerState::kRemoving) return RemoveLocked(std::move(container));
  if (container.record.starting || container.record.provisional) {
    return RollBackLocked(std::move(container));
  }
  if (!runtime::IsLive(info.state)) {
    if (run_dir.Exists(id.ToString())) ReleaseRun(id, info.project);
    if (info.state != ContainerState::kExited) return Status();
    MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, container.dir.ReadConfig());
    if (config.spec.remove_on_exit) return RemoveLocked(std::move(container));
    if (opening) return ResumePolicy(container);
    if (info.next_restart) ScheduleRestart(id, *info.next_restart);
    return Status();
  }
  if (supervisor_->IsWatched(id, container.record.monitor)) return Status();
  MBX_ASSIGN_OR_RETURN(const std::optional<ExitStatus> exit, container.dir.ReadExit());
  if (!exit && container.record.boot_id == boot_id_) {
    auto connection = Connect(container.record);
    if (connection.ok()) {
      if (const Status settled = SettlePause(container.record); !settled.ok()) {
        core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ": ",
                                                 settled.message(), ", going on"));
      }
      BeginProbes(id);
      return supervisor_->Watch(id, container.record.monitor, std::move(*connection));
    }
    if (connection.status().code() != StatusCode::kUnavailable) return connection.status();
  }
  return FinishLocked(std::move(container), exit).status();
}

Status Runtime::Impl::SettlePause(const runtime::ContainerRecord& record) {
  const bool paused = record.info.state == ContainerState::kPaused;
  auto cgroup = cgroups->Open(record.info.id.ToString());
  const Status settled = cgroup.ok() ? (*cgroup)->Freeze(paused) : cgroup.status();
  // A host that cannot freeze has not frozen anything.
  const bool impossible =
      settled.code() == StatusCode::kNotFound || settled.reason() == "unsupported_by_host";
  return !paused && impossible ? Status() : settled;
}

void Runtime::Impl::Adopt(const ContainerId& id) {
  {
    const absl::MutexLock lock(&adopting_mutex_);
    if (!adopting_.insert(id).second) return;
  }
  TryAdopt(id, kFirstPause);
}

void Runtime::Impl::TryAdopt(const ContainerId& id, std::chrono::milliseconds pause) {
  auto dir = runtime::ContainerDir::Open(*images->root, id);
  auto lock = dir.ok() ? dir->TryLock(*images->root) : dir.status();
  if (lock.ok() && !*lock) {
    // Not by waiting for the lock: a start may take long, and others need the thread.
    loop_->AddTimer(std::chrono::steady_clock::now() + pause, [this, id, pause] {
      if (stopping_.stop_requested()) return;
      pool_->Submit([this, id, pause] { TryAdopt(id, std::min(pause * 2, kLongestPause)); });
    });
    return;
  }
  {
    // What happens from here on is another event.
    const absl::MutexLock guard(&adopting_mutex_);
    adopting_.erase(id);
  }
  if (!lock.ok()) return;
  auto record = dir->ReadRecord();
  if (!record.ok()) return;
  const Status settled = Settle({std::move(*dir), std::move(**lock), std::move(*record)});
  if (!settled.ok() && settled.code() != StatusCode::kNotFound) {
    core::LogWarning("runtime", core::StrCat("container ", id.ToString(), ": ", settled.message(),
                                             ", left for the next recovery"));
  }
}

Status Runtime::Impl::RecoverContainer(const ContainerId& id) {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerDir dir, runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(std::optional<core::FileLock> lock, dir.TryLock(*images->root));
  if (!lock) {
    // Somebody is at work. What becomes of it is to be noticed here as well.
    Adopt(id);
    return Status();
  }
  auto record = dir.ReadRecord();
  if (!record.ok()) {
    core::LogWarning("runtime", core::StrCat(record.status().message(), ", set aside"));
    record = RebuildRecord(dir);
    if (!record.ok()) return record.status();
  }
  return Settle({std::move(dir), std::move(*lock), std::move(*record)}, /*opening=*/true);
}

void Runtime::Impl::RecoverRunDirEntry(const std::string& name) {
  auto id = ContainerId::Parse(name);
  if (id.ok()) {
    // Its record is gone, so nobody will come back for the rest; one with a record was looked
    // at before.
    if (!runtime::ContainerDir::Open(*images->root, *id).ok()) ReleaseRun(*id);
    return;
  }
  auto claim = runtime::TakeAbandonedClaim(run_dir, name);
  if (!claim.ok() || !*claim) return;
  auto cgroup = cgroups->Open(name);
  if (cgroup.ok()) {
    (void)(*cgroup)->KillAll();
    (void)(*cgroup)->Remove();
  }
  (void)net->Release(name);
  (void)id_ranges.Release(name);
}

// Containers go on without, so nothing of this is an error of the opening.
void Runtime::Impl::RecoverNetwork(const std::set<std::string>& projects) {
  const auto note = [](const Status& status) {
    if (status.ok()) return;
    core::LogWarning("runtime", core::StrCat("recovery of networks: ", status.message(),
                                             ", left for the next one"));
  };
  note(net->ForgetGone([this](const std::string& name) {
    const auto id = ContainerId::Parse(name);
    return id.ok() && runtime::ContainerDir::Open(*images->root, *id).ok();
  }));
  note(net->ReconcileWith([this] { return ListLive(); }));
  for (const std::string& project : projects) UpdateHosts(project);
}

StatusOr<std::vector<network::LiveContainer>> Runtime::Impl::ListLive() const {
  std::vector<network::LiveContainer> live;
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids,
                       runtime::ContainerDir::List(*images->root));
  for (const ContainerId& id : ids) {
    auto dir = runtime::ContainerDir::Open(*images->root, id);
    auto record = dir.ok() ? dir->ReadRecord() : StatusOr<runtime::ContainerRecord>(dir.status());
    // One that cannot be read may run: its links and rules are left alone.
    if (!record.ok()) {
      live.push_back({id.ToString(), 0});
    } else if (runtime::IsLive(record->info.state) && record->boot_id == boot_id_) {
      live.push_back({id.ToString(), record->info.pid});
    }
  }
  return live;
}

Status Runtime::Impl::Recover() {
  MBX_ASSIGN_OR_RETURN(const std::vector<ContainerId> ids,
                       runtime::ContainerDir::List(*images->root));
  std::set<std::string> projects;
  for (const ContainerId& id : ids) {
    const Status recovered = RecoverContainer(id);
    auto dir = runtime::ContainerDir::Open(*images->root, id);
    const auto record = dir.ok() ? dir->ReadRecord() : dir.status();
    if (record.ok()) projects.insert(record->info.project);
    if (!recovered.ok() && recovered.code() != StatusCode::kNotFound) {
      core::LogWarning("runtime", core::StrCat("recovery of container ", id.ToString(), ": ",
                                               recovered.message(), ", going on"));
    }
  }
  RecoverNetwork(projects);
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> runs, run_dir.List(""));
  for (const std::string& name : runs) {
    if (name != "ids") RecoverRunDirEntry(name);
  }
  return Status();
}

}  // namespace v1
}  // namespace minibox
