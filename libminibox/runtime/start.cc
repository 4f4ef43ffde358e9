// SPDX-License-Identifier: Apache-2.0
// The start sequence of spec §12.2.
//
//   plan ─> RunDir/<id> ─> binds ─> id range ─> cgroup ─> address, ports ─> /etc files
//        ─> monitor, PID 1 set up ─> links, record "starting" ─> release ─> record "running"
//
// RunDir/<id> comes first and goes last: whatever a start has taken while it exists, ReleaseRun
// gives back, in this process or in the next one.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/file.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/features.h"
#include "runtime/bind_sources.h"
#include "runtime/devices.h"
#include "runtime/generated_files.h"
#include "runtime/health_log.h"
#include "runtime/launch_plan.h"
#include "runtime/monitor_identity.h"
#include "runtime/names.h"
#include "runtime/restart_policy.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_validate.h"
#include "runtime/start_failure.h"
#include "runtime/start_parts.h"
#include "runtime/state_machine.h"

namespace minibox::runtime {

// The merged root takes mode and owner from the upper directory: they are to be the image's.
Status CopyRootAttributes(const core::RootDir& data_root, const std::string& lower,
                          const std::string& upper) {
  MBX_ASSIGN_OR_RETURN(const struct stat from, data_root.Stat(lower));
  MBX_ASSIGN_OR_RETURN(const core::Fd to, data_root.OpenAt(upper, O_RDONLY | O_DIRECTORY));
  if (fchown(to.get(), from.st_uid, from.st_gid) != 0) return core::SysError("fchown", upper);
  if (fchmod(to.get(), from.st_mode & 07777) != 0) return core::SysError("fchmod", upper);
  return Status();
}

// Why the container has to have the host's ids; empty: it need not.
std::string HostIdsReason(const ContainerSpec& spec, const OpenedBinds& binds) {
  if (spec.security.host_userns) return "asked for";
  if (!kernel::HostFeatures().user_namespaces) return "the kernel has no user namespaces";
  if (!kernel::HostFeatures().idmapped_mounts) return "the kernel has no id-mapped mounts";
  if (binds.id_map_obstacle.empty()) return "";
  return binds.id_map_obstacle + " cannot be mounted through an id map";
}

}  // namespace minibox::runtime

namespace minibox {
inline namespace v1 {

namespace {

constexpr size_t kMaxResolvConf = 1u << 20;

void Append(const std::vector<std::string>& from, std::vector<std::string>& into) {
  into.insert(into.end(), from.begin(), from.end());
}

}  // namespace

StatusOr<network::Reservation> Runtime::Impl::ReserveNetwork(const ContainerSpec& spec,
                                                             const ContainerId& id) {
  if (!runtime::IsBridged(spec.network)) return network::Reservation();
  return net->Reserve(runtime::PlanEndpoints(spec, id));
}

Status Runtime::Impl::WriteGeneratedFiles(const ContainerSpec& spec,
                                          const runtime::ContainerDir& dir,
                                          const network::Endpoint& endpoint) {
  MBX_RETURN_IF_ERROR(dir.WriteGenerated(runtime::kHostnameFile, spec.hostname + "\n"));
  // The others are those of the network's owner.
  if (runtime::JoinedContainer(spec.network)) return Status();
  std::string resolv_conf;
  if (spec.network == "host" && spec.dns.empty()) {
    auto text = core::ReadFileAt(AT_FDCWD, "/etc/resolv.conf", kMaxResolvConf);
    // A host without one has no names to resolve.
    if (!text.ok() && text.status().code() != StatusCode::kNotFound) return text.status();
    if (text.ok()) resolv_conf = std::move(*text);
  } else {
    MBX_ASSIGN_OR_RETURN(
        resolv_conf,
        net->ResolvConf(spec.dns, runtime::IsBridged(spec.network) ? spec.network : ""));
  }
  {
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock, LockHosts());
    MBX_RETURN_IF_ERROR(
        WriteHosts(dir, runtime::HostsText(spec, dir.id(), endpoint.ip, endpoint.gateway)));
  }
  // The lease is there, so whoever starts from now on writes this one's name as well.
  if (!endpoint.ip.empty()) UpdateHosts(spec.project);
  return dir.WriteGenerated(runtime::kResolvConfFile, resolv_conf);
}

Status Runtime::Impl::Configure(Locked& container, const runtime::SetUp& set_up,
                                const kernel::Cgroup& cgroup, const ContainerSpec& spec,
                                const network::Reservation& reservation) {
  MBX_FAILPOINT("start.configure");
  if (!cgroup.JoinDirs().empty()) {
    MBX_ASSIGN_OR_RETURN(const std::vector<int> members, cgroup.Pids());
    if (std::find(members.begin(), members.end(), set_up.pid) == members.end()) {
      return core::Internal(core::StrCat("PID 1 is not in cgroup ", cgroup.path()));
    }
  }
  if (runtime::IsBridged(spec.network)) {
    const std::string id = container.id().ToString();
    MBX_RETURN_IF_ERROR(
        net->Attach(reservation.endpoint, id, set_up.netns.get(), set_up.rtnetlink.get()));
    for (const network::Endpoint& further : reservation.further) {
      MBX_RETURN_IF_ERROR(net->Attach(further, id, set_up.netns.get(), set_up.rtnetlink.get()));
    }
  } else if (spec.network == "none") {
    MBX_RETURN_IF_ERROR(net->SetUpLoopback(set_up.rtnetlink.get()));
  }
  // If this process dies after the release, the next one finds what it has to undo.
  runtime::ContainerRecord starting = container.record;
  starting.starting = true;
  starting.boot_id = boot_id_;
  return container.dir.WriteRecord(starting);
}

StatusOr<std::vector<std::string>> Runtime::Impl::LayersOf(const runtime::ContainerConfig& config,
                                                           const std::stop_token& stop) const {
  MBX_ASSIGN_OR_RETURN(const Digest manifest, Digest::Parse(config.image_digest));
  MBX_ASSIGN_OR_RETURN(const Store::Impl::Image image, images->ResolveManifest(manifest));
  return images->EnsureLayers(image, stop);
}

StatusOr<Runtime::Impl::Started> Runtime::Impl::Launch(Locked& container, bool capture,
                                                       const std::stop_token& stop) {
  const ContainerId& id = container.id();
  const std::string name = id.ToString();
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, container.dir.ReadConfig());
  const ContainerSpec& spec = config.spec;
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> layers, LayersOf(config, stop));
  runtime::HostFacts facts = host;
  if (spec.security.privileged) {
    MBX_ASSIGN_OR_RETURN(facts.devices, runtime::ListHostDevices());
  }
  MBX_ASSIGN_OR_RETURN(runtime::LaunchPlan plan, runtime::PlanLaunch(config, id, layers, facts));
  MBX_ASSIGN_OR_RETURN(const auto devices, runtime::FindDevices(spec.devices));
  MBX_RETURN_IF_ERROR(runtime::PlanDevices(container.dir, devices, plan.spec.mounts, plan.binds));
  if (!spec.security.privileged) {
    plan.limits.devices = runtime::DeviceRules(devices);
    plan.limits.devices_are_default = spec.devices.empty();
  }
  if (!container.record.info.started) {
    MBX_RETURN_IF_ERROR(runtime::CopyRootAttributes(images->root->dir(), plan.spec.lowers.front(),
                                                    plan.spec.upper));
  }

  runtime::OpenedBinds binds;
  absl::Cleanup undo = [&] {
    ReleaseRun(id, spec.project);
    runtime::RemoveMadeDirectories(binds);
  };
  // A start that died is rolled back by whoever comes first.
  if (run_dir.Exists(name)) ReleaseRun(id);
  MBX_FAILPOINT("start.run_dir");
  MBX_RETURN_IF_ERROR(run_dir.MakeDir(name, 0700));
  MBX_ASSIGN_OR_RETURN(const core::RootDir run, run_dir.OpenDir(name));
  MBX_RETURN_IF_ERROR(container.dir.ClearExit());
  MBX_RETURN_IF_ERROR(runtime::ClearHealthLog(container.dir));

  MBX_FAILPOINT("start.network");
  MBX_ASSIGN_OR_RETURN(const network::Reservation reservation, ReserveNetwork(spec, id));
  const network::Endpoint& endpoint = reservation.endpoint;
  MBX_ASSIGN_OR_RETURN(const std::optional<Sharing> sharing, ShareNetwork(spec, name));
  MBX_RETURN_IF_ERROR(WriteGeneratedFiles(spec, container.dir, endpoint));
  MBX_FAILPOINT("start.binds");
  MBX_RETURN_IF_ERROR(
      runtime::OpenBinds(host, *images->root, images->volumes, container.dir, stop, plan, binds));

  std::vector<std::string> warnings = config.warnings;
  Append(plan.warnings, warnings);
  Append(reservation.warnings, warnings);
  runtime::IdRange ids;
  std::string host_ids = runtime::HostIdsReason(spec, binds);
  const bool shares_ids = sharing && sharing->ids.count > 0;
  if (sharing && !shares_ids && host_ids.empty()) host_ids = "so has the owner of its network";
  if (shares_ids && !host_ids.empty()) {
    return core::InvalidArgument(
        "network", core::StrCat("its owner has ids of its own; the host's: ", host_ids));
  }
  if (host_ids.empty()) {
    if (shares_ids) {
      ids = sharing->ids;
    } else {
      MBX_ASSIGN_OR_RETURN(ids, id_ranges.Acquire(name));
    }
    if (ids.shared) {
      warnings.push_back("the range of ids is shared: there are more containers than ranges");
    }
    SetIdRange(ids, plan);
  } else {
    if (!spec.security.host_userns) {
      warnings.push_back("the container has the host's user ids: " + host_ids);
    }
    Append(SetHostIds(spec.security, facts, plan, spec.db_mode), warnings);
  }

  MBX_FAILPOINT("start.cgroup");
  MBX_ASSIGN_OR_RETURN(const std::unique_ptr<kernel::Cgroup> cgroup,
                       cgroups->Create(name, plan.limits));
  Append(cgroup->warnings(), warnings);

  runtime::LaunchFds fds;
  fds.data_root = images->root->dir().fd();
  fds.container_dir = container.dir.dir().fd();
  fds.run_dir = run.fd();
  if (sharing) fds.join = sharing->pid1.get();
  for (const core::Fd& fd : binds.fds) fds.binds.push_back(fd.get());
  for (const core::Fd& fd : reservation.sockets) fds.held.push_back(fd.get());
  runtime::LaunchHooks hooks;
  TimePoint released;
  hooks.configure = [&](const runtime::SetUp& set_up) {
    const Status configured = Configure(container, set_up, *cgroup, spec, reservation);
    released = std::chrono::system_clock::now();
    return configured;
  };
  MBX_FAILPOINT("start.launch");
  auto attempt = launcher->Launch(plan.spec, fds, *cgroup, capture, hooks, stop);
  if (!attempt.ok() && sharing && runtime::HasEnded(sharing->pid1.get())) {
    MBX_RETURN_IF_ERROR(ShareNetwork(spec, name).status());  // which says so
  }
  MBX_ASSIGN_OR_RETURN(runtime::Launched launched, std::move(attempt));
  Append(launched.warnings, warnings);

  runtime::ContainerRecord running = container.record;
  running.monitor = launched.monitor;
  running.boot_id = boot_id_;
  running.ids = ids;
  running.starting = running.provisional = false;
  ContainerInfo& info = running.info;
  info.state = ContainerState::kRunning;
  info.pid = launched.pid;
  // Not now: a short workload may have ended already.
  info.started = released;
  info.exit.reset();
  info.error.clear();
  info.next_restart.reset();
  info.health = spec.healthcheck ? Health::kStarting : Health::kNone;
  info.ip = endpoint.ip;
  info.mac = endpoint.mac;
  info.gateway = endpoint.gateway;
  info.networks.clear();
  const auto attach = [&](const network::Endpoint& each) {
    info.networks.push_back({each.network, each.ip, each.mac, each.gateway, each.ip6});
  };
  if (!endpoint.network.empty()) attach(endpoint);
  for (const network::Endpoint& further : reservation.further) attach(further);
  info.ports = endpoint.network.empty() ? spec.ports : endpoint.ports;
  info.warnings = std::move(warnings);
  const Status written = container.dir.WriteRecord(running);
  if (!written.ok()) {
    // A run that is not on disk does not exist. Its end is all that matters now.
    (void)launched.connection.Signal(SIGKILL);
    (void)launched.connection.WaitExit();
    return written;
  }
  std::move(undo).Cancel();
  container.record = std::move(running);
  return Started{container.record.info, launched.monitor, std::move(launched.connection),
                 std::move(launched.output)};
}

StatusOr<Runtime::Impl::Started> Runtime::Impl::StartLocked(Locked& container, bool capture,
                                                            std::stop_token stop, StartedBy by) {
  MBX_RETURN_IF_ERROR(runtime::CheckCanStart(container.record.info));
  const bool created = container.record.provisional;
  const runtime::ContainerRecord before = container.record;
  if (by == StartedBy::kPolicy) {
    // On disk before the workload runs, so that a start counts however it ends.
    ++container.record.info.restart_count;
    ++container.record.restart_row;
  } else {
    container.record.info.restart_count = 0;
    container.record.restart_row = 0;
  }
  container.record.stopped = false;
  auto started = Launch(container, capture, stop);
  if (started.ok()) {
    snapshot_->Touch();
    const ContainerInfo& info = started->info;
    if (created) Emit("container.create", info, {}, info.created);
    Emit("container.start", info, {}, info.started);
    return started;
  }
  const Status why = runtime::AsStartFailure(started.status());
  if (container.record.provisional) return why;
  if (by == StartedBy::kUser) container.record = before;
  container.record.info.error = why.message();
  container.record.starting = false;
  if (by == StartedBy::kPolicy) {
    runtime::PlanRestart(container.record, runtime::Ended::kFailedStart,
                         std::chrono::system_clock::now());
  }
  const Status written = container.dir.WriteRecord(container.record);
  if (!written.ok()) {
    core::LogWarning("runtime", core::StrCat(written.message(),
                                             ", the record does not say why the start failed"));
  }
  snapshot_->Touch();
  return why;
}

}  // namespace v1
}  // namespace minibox
