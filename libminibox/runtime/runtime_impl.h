// SPDX-License-Identifier: Apache-2.0
// An open runtime.
//
//   Runtime (handle) ──> Runtime::Impl ──> Launcher ──> monitor of each container
//                            │  └────────> Supervisor: notices exits, calls FinishRun
//                            ├── containers/<id>/  config.json, state.json, exit.json, lock
//                            ├── RunDir/<id>/      monitor.sock;  RunDir/ids/: id ranges
//                            └── Store (images, volumes), Network (addresses, ports), cgroups
//
// Disk is the truth: every operation reads the container's record under its lock, and any
// process may finish what another began. Only questions about all containers use records that were
// read before, and only of files that have not changed since (RecordCache).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/event_loop.h"
#include "core/root_dir.h"
#include "core/thread_pool.h"
#include "kernel/cgroup.h"
#include "minibox/runtime.h"
#include "network/network_impl.h"
#include "runtime/container_dir.h"
#include "runtime/cpu_sampler.h"
#include "runtime/health_monitor.h"
#include "runtime/host_facts.h"
#include "runtime/id_ranges.h"
#include "runtime/launcher.h"
#include "runtime/record_cache.h"
#include "runtime/state_snapshot.h"
#include "runtime/supervisor.h"
#include "store/store_impl.h"

namespace minibox {
inline namespace v1 {

struct Runtime::Impl {
  Impl(Store store_handle, Network network_handle, std::shared_ptr<Store::Impl> store_impl,
       std::shared_ptr<Network::Impl> network_impl, runtime::IdRanges ranges);
  ~Impl();
  static StatusOr<std::shared_ptr<Impl>> Open(Store store, Network network,
                                              std::shared_ptr<Store::Impl> store_impl,
                                              std::shared_ptr<Network::Impl> network_impl,
                                              const RuntimeOptions& options);

  // What build steps use as well. All of it is thread-safe.
  RuntimeOptions options;  // with run_dir filled in
  Store store;
  Network network;
  std::shared_ptr<Store::Impl> images;
  std::shared_ptr<Network::Impl> net;
  runtime::HostFacts host;
  core::RootDir run_dir;
  runtime::IdRanges id_ranges;  // see also RunClaim: a build step takes one first
  std::unique_ptr<kernel::CgroupDriver> cgroups;
  std::unique_ptr<runtime::Launcher> launcher;

  // container_ops.cc
  StatusOr<ContainerInfo> Create(const ContainerSpec& spec);
  StatusOr<ContainerInfo> Start(const ContainerId& id, std::stop_token stop);
  StatusOr<ContainerInfo> Run(const ContainerSpec& spec, std::stop_token stop);
  StatusOr<StopResult> Stop(const ContainerId& id, const StopOptions& how, std::stop_token stop);
  Status Kill(const ContainerId& id, int signal);
  Status Remove(const ContainerId& id, bool force);
  StatusOr<ExitStatus> Wait(const ContainerId& id, std::stop_token stop);
  StatusOr<ContainerInfo> Restart(const ContainerId& id, const StopOptions& how,
                                  std::stop_token stop);

  // lifecycle.cc
  Status Pause(const ContainerId& id);
  Status Unpause(const ContainerId& id);
  Status Rename(const ContainerId& id, std::string_view name);
  Status Update(const ContainerId& id, const ContainerUpdate& update);
  StatusOr<ContainerPruneReport> Prune(const ContainerPruneOptions& how);

  // wait.cc
  StatusOr<ContainerInfo> WaitFor(const ContainerId& id, const WaitOptions& how,
                                  std::stop_token stop);

  // foreground.cc
  static StatusOr<std::unique_ptr<Process::Impl>> StartForeground(std::shared_ptr<Impl> self,
                                                                  const ContainerSpec& spec,
                                                                  const RunOptions& options,
                                                                  std::stop_token stop);
  static StatusOr<std::unique_ptr<Process::Impl>> StartForeground(std::shared_ptr<Impl> self,
                                                                  const ContainerId& id,
                                                                  const RunOptions& options,
                                                                  std::stop_token stop);

  static StatusOr<ExitStatus> RunForeground(std::shared_ptr<Impl> self, const ContainerSpec& spec,
                                            const OutputFn& sink, const RunOptions& options,
                                            std::stop_token stop);

  // attach.cc
  StatusOr<std::unique_ptr<Process::Impl>> Attach(const ContainerId& id,
                                                  const AttachOptions& options);
  Status Resize(const ContainerId& id, TerminalSize size);

  // exec.cc
  // Probes are not announced: they would fill the events with what nobody asked for.
  enum class Announced { kYes, kNo };
  StatusOr<std::unique_ptr<Process::Impl>> StartExec(const ContainerId& id, const ExecSpec& spec,
                                                     Announced announced, std::stop_token stop);
  // events.cc
  // What happened to a container, once it is durable: Emit("container.pause", record.info). Name,
  // image, project and labels are added to `more`; `time` is now unless it happened before.
  void Emit(std::string_view type, const ContainerInfo& info, Labels more = {},
            std::optional<TimePoint> time = {}) const;
  // "container.die", after "container.oom" if that was why.
  void EmitExit(const ContainerInfo& info) const;
  Status Announce(std::string_view type, std::string_view id, Labels attributes);
  Status ReadEvents(const EventOptions& options, const EventFn& sink, std::stop_token stop) const;

  // queries.cc
  StatusOr<ContainerId> Find(std::string_view name) const;
  StatusOr<ContainerInfo> Inspect(const ContainerId& id);
  StatusOr<std::vector<ContainerInfo>> List();
  Status ReadLogs(const ContainerId& id, const LogOptions& how, const OutputFn& sink,
                  std::stop_token stop) const;

  // inspect.cc
  StatusOr<ContainerDetails> InspectDetails(const ContainerId& id, bool size);
  // stats.cc, top.cc
  StatusOr<ContainerStats> Stats(const ContainerId& id);
  StatusOr<std::vector<ContainerStats>> AllStats();
  StatusOr<std::vector<ProcessInfo>> Top(const ContainerId& id);
  // commit.cc
  StatusOr<std::vector<FileChange>> Diff(const ContainerId& id);
  Status Export(const ContainerId& id, const BytesSink& tar, std::stop_token stop);
  StatusOr<ImageInfo> Commit(const ContainerId& id, const CommitOptions& options,
                             std::stop_token stop);

  // copy.cc
  StatusOr<PathStat> StatPath(const ContainerId& id, std::string_view path, bool follow_link);
  Status CopyOut(const ContainerId& id, std::string_view path, const BytesSink& tar,
                 const CopyOutOptions& options, std::stop_token stop);
  Status CopyIn(const ContainerId& id, std::string_view path, int tar, const CopyInOptions& options,
                std::stop_token stop);

  // recovery.cc: what Open does with each container and with what is left in RunDir.
  Status Recover();

 private:
  class Foreground;

  // A container under its lock.
  struct Locked {
    runtime::ContainerDir dir;
    core::FileLock lock;
    runtime::ContainerRecord record;
    const ContainerId& id() const { return record.info.id; }
  };
  StatusOr<Locked> Lock(const ContainerId& id, std::stop_token stop = {}) const;

  // start.cc
  struct Started {
    ContainerInfo info;
    runtime::MonitorIdentity monitor;
    runtime::MonitorConnection connection;
    core::Fd output;
  };
  // Steps 1-12 of spec §12.2. On failure everything of the start is undone, the record is
  // as it was but for `error`; a provisional one is left for the caller to remove.
  // A user's start begins a new history of restarts, one of the policy continues it.
  enum class StartedBy { kUser, kPolicy };
  StatusOr<Started> StartLocked(Locked& container, bool capture, std::stop_token stop,
                                StartedBy by = StartedBy::kUser);
  // The library watches over the run from here on. A failure is only logged: the end of the run
  // is noticed later.
  void Supervise(Started& started);
  StatusOr<Started> Launch(Locked& container, bool capture, const std::stop_token& stop);
  // The unpacked layers of its image, bottom first, relative to the data root.
  StatusOr<std::vector<std::string>> LayersOf(const runtime::ContainerConfig& config,
                                              const std::stop_token& stop = {}) const;
  StatusOr<network::Reservation> ReserveNetwork(const ContainerSpec& spec, const ContainerId& id);
  // shared_network.cc
  // "container:<name>" becomes that of the container whose network it is. kNotFound
  // "container_not_found" with the field named.
  Status ResolveSharedNetwork(ContainerSpec& spec) const;
  // Whose network and ids a start shares.
  struct Sharing {
    core::Fd pid1;
    runtime::IdRange ids;
  };
  // nullopt: nobody's. `owner`, which has a run directory by now, holds the ids until ReleaseRun.
  // kFailedPrecondition "container_not_running".
  StatusOr<std::optional<Sharing>> ShareNetwork(const ContainerSpec& spec,
                                                const std::string& owner) const;
  Status WriteGeneratedFiles(const ContainerSpec& spec, const runtime::ContainerDir& dir,
                             const network::Endpoint& endpoint);
  // Between set-up and release: nothing of the image has run yet.
  Status Configure(Locked& container, const runtime::SetUp& set_up, const kernel::Cgroup& cgroup,
                   const ContainerSpec& spec, const network::Reservation& reservation);

  // copy.cc
  // The root as the container sees it, for the duration of a call.
  struct SeenRoot {
    const core::RootDir& root;
    runtime::IdRange ids;
    // Of mounts that are there only as long as it runs, which it does not; else empty.
    std::vector<dev_t> passing{};
  };
  using UseRoot = std::function<Status(const SeenRoot&)>;
  // `info` becomes what is known of the container.
  Status WithRoot(const ContainerId& id, const UseRoot& use, const std::stop_token& stop,
                  ContainerInfo* info = nullptr);
  // Puts the root together as a start does, and runs nothing in it.
  Status WithStoppedRoot(Locked& container, const UseRoot& use, const std::stop_token& stop);

  // create.cc
  // Held while a name is looked up and taken; after the lock of a container.
  StatusOr<core::FileLock> LockNames() const;
  // kFailedPrecondition "name_in_use" if a container other than `but` has it.
  Status CheckNameIsFree(const std::string& name, const ContainerId* but = nullptr) const;
  // That its networks exist, and that its fixed addresses are its own.
  Status ClaimNetworks(const ContainerSpec& spec, const ContainerId& id);
  // A new record; `provisional` ones vanish if their first start does not succeed.
  StatusOr<Locked> CreateLocked(const ContainerSpec& spec, bool provisional);
  StatusOr<Started> CreateAndStart(const ContainerSpec& spec, bool capture, std::stop_token stop);

  // finish.cc
  // Takes everything away that a run had besides its record; collects errors into the log.
  void ReleaseRun(const ContainerId& id);
  // The same, and the siblings hear of it.
  void ReleaseRun(const ContainerId& id, const std::string& project) {
    ReleaseRun(id);
    UpdateHosts(project);
  }

  // hosts.cc
  // Writes the hosts files of all containers of the project that run or start.
  void UpdateHosts(const std::string& project) const;
  Status WriteHosts(const runtime::ContainerDir& dir, const std::string& text) const;
  Status WriteHostsOf(const std::string& id, const std::vector<network::Member>& members) const;
  StatusOr<core::FileLock> LockHosts() const;
  // After the end of the run of `monitor`: clean-up, record, `remove_on_exit`. Does nothing
  // if somebody else was faster. `exit` is what the monitor said; exit.json wins.
  StatusOr<ExitStatus> FinishRun(const ContainerId& id, const runtime::MonitorIdentity& monitor,
                                 const std::optional<ExitStatus>& exit, std::stop_token stop = {});
  StatusOr<ExitStatus> FinishLocked(Locked container, const std::optional<ExitStatus>& exit);
  // The first half of it: clean-up and record.
  StatusOr<ExitStatus> RecordExit(Locked& container, const std::optional<ExitStatus>& exit);
  // Record, directory, anonymous volumes. The container does not run.
  Status RemoveLocked(Locked container);
  // Rolls back a start whose process died. `kOk` also if nothing was left.
  Status RollBackLocked(Locked container);

  // The record of a container that is running or paused.
  StatusOr<runtime::ContainerRecord> ObserveLive(const ContainerId& id);
  // stats.cc
  struct Measured;
  StatusOr<Measured> Measure(const runtime::ContainerRecord& record) const;

  // Of all containers, for questions; damaged ones are left out with a warning.
  using SharedRecord = std::shared_ptr<const runtime::ContainerRecord>;
  StatusOr<std::vector<SharedRecord>> ObserveAll();
  // The record as it is, or would be if an exit that nobody has recorded yet were.
  StatusOr<runtime::ContainerRecord> Observe(const ContainerId& id);
  // kNotFound, kUnavailable: the monitor of that run is gone.
  StatusOr<runtime::MonitorConnection> Connect(const runtime::ContainerRecord& record) const;
  // What is frozen hears no signal; the record says "running" afterwards.
  Status ThawLocked(Locked& container);
  // The policy rests until the next start by a user.
  Status NoteStoppedByUser(Locked& container);

  // health.cc
  void BeginProbes(const ContainerId& id);
  // nullopt: it says nothing about the workload.
  std::optional<HealthProbe> RunProbe(const ContainerId& id, const HealthCheck& check);
  // A HealthMonitor::ProbeFn.
  std::optional<std::chrono::milliseconds> ProbeHealth(const ContainerId& id,
                                                       const runtime::MonitorIdentity& run);
  // policy.cc: what a supervising runtime does by itself.
  void ScheduleRestart(const ContainerId& id, TimePoint when);
  void RestartByPolicy(const ContainerId& id);
  // After the end of a run that another process may have recorded.
  void FollowPolicy(const ContainerId& id);
  // At the start of a daemon.
  Status ResumePolicy(Locked& container);
  // SIGKILL, and the end of it.
  void KillRun(const runtime::ContainerRecord& record);
  // foreground.cc
  static StatusOr<std::unique_ptr<Process::Impl>> MakeForeground(std::shared_ptr<Impl> self,
                                                                 Started started,
                                                                 const RunOptions& options,
                                                                 bool input, bool terminal);
  // attach.cc: kFailedPrecondition "container_not_running" as well.
  StatusOr<runtime::MonitorConnection> ConnectLive(const runtime::ContainerRecord& record) const;
  // exec.cc: the pidfd of PID 1. kFailedPrecondition "container_not_running".
  StatusOr<core::Fd> OpenPid1(const runtime::ContainerRecord& record) const;
  // What a container needs that nobody holds the lock of: is its run watched, was its start or
  // its removal interrupted?
  Status Settle(Locked container, bool opening = false);
  // A pause that was cut short between kernel and record is finished or undone.
  Status SettlePause(const runtime::ContainerRecord& record);
  Status RecoverContainer(const ContainerId& id);
  void RecoverNetwork(const std::set<std::string>& projects);
  StatusOr<std::vector<network::LiveContainer>> ListLive() const;
  void RecoverRunDirEntry(const std::string& name);
  // Settles what appears in the directories, as soon as its lock is free: other processes start
  // containers, and die while they do.
  void Adopt(const ContainerId& id);
  void TryAdopt(const ContainerId& id, std::chrono::milliseconds pause);

  // Ends what waits for locks in the background.
  std::stop_source stopping_;
  absl::Mutex adopting_mutex_;
  std::set<ContainerId> adopting_ ABSL_GUARDED_BY(adopting_mutex_);
  std::string boot_id_;
  std::unique_ptr<core::EventLoop> loop_;
  std::unique_ptr<core::ThreadPool> pool_;
  std::unique_ptr<runtime::StateSnapshot> snapshot_;
  std::unique_ptr<runtime::CpuSampler> cpu_sampler_;
  runtime::RecordCache records_;
  std::unique_ptr<runtime::Supervisor> supervisor_;
  std::unique_ptr<runtime::HealthMonitor> health_;  // if this runtime supervises
};

}  // namespace v1
}  // namespace minibox
