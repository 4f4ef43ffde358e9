// SPDX-License-Identifier: Apache-2.0
// Copies into containers and out of them (spec §12.17).
//
// The root is that of PID 1, taken by descriptor: whatever is mounted in the container is there,
// and every path is resolved in it. A container that does not run gets a PID 1 for the duration,
// which is set up like any other and never released, so nothing of the image runs.
#include <fcntl.h>
#include <linux/securebits.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <thread>

#include "absl/cleanup/cleanup.h"
#include "archive/compression.h"
#include "archive/layer_apply.h"
#include "archive/layer_diff.h"
#include "archive/pseudo_fs.h"
#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/bind_sources.h"
#include "runtime/generated_files.h"
#include "runtime/launch_plan.h"
#include "runtime/monitor_identity.h"
#include "runtime/mount_options.h"
#include "runtime/runtime_impl.h"
#include "runtime/start_failure.h"
#include "runtime/start_parts.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr size_t kMaxPath = 4095;
// How often a run may end while one looks for it.
constexpr int kMaxEnds = 8;

// A path of a request.
struct CopyPath {
  std::string clean{};     // absolute, lexically clean
  bool directory = false;  // "x/" and "x/." are the directory behind x, link or not

  static StatusOr<CopyPath> Parse(std::string_view text) {
    auto clean = text.size() <= kMaxPath ? runtime::CleanPath(text) : std::nullopt;
    if (!clean) {
      return core::InvalidArgument("path", "must be an absolute path of at most 4095 bytes");
    }
    return CopyPath{*std::move(clean), text.ends_with('/') || text.ends_with("/.")};
  }
  // The last component; "/" for the root.
  std::string Name() const { return clean == "/" ? clean : clean.substr(clean.rfind('/') + 1); }
};

// What failed about `path`, in terms of the request.
Status PathError(const Status& status, const CopyPath& path) {
  const std::string shown = core::EscapeControl(path.clean);
  switch (status.sys_errno()) {
    case ENOENT:
    case ENAMETOOLONG:
      return core::NotFound("path_not_found", core::StrCat("'", shown, "' does not exist"))
          .WithField("path");
    case ENOTDIR:
      return core::InvalidArgument("path", core::StrCat("'", shown, "' is not a directory"));
    case ELOOP:
      return core::InvalidArgument("path", core::StrCat("'", shown, "' is a loop of links"));
    case EROFS:
      return core::Error(StatusCode::kPermissionDenied, "read_only", status.message())
          .WithField("path");
    default:
      return status;
  }
}

Status Refused(const CopyPath& path) {
  return core::InvalidArgument("path", core::StrCat("'", core::EscapeControl(path.clean),
                                                    "' is the kernel's own, not to be copied"));
}

StatusOr<core::Fd> OpenNode(const core::RootDir& root, const CopyPath& path, bool follow) {
  auto node = path.directory ? root.OpenAt(path.clean, O_PATH | O_DIRECTORY)
              : follow       ? root.OpenAt(path.clean, O_PATH)
                             : root.OpenNoFollow(path.clean, O_PATH);
  if (!node.ok()) return PathError(node.status(), path);
  if (archive::IsPseudoFileSystem(node->get())) return Refused(path);
  return node;
}

StatusOr<PathStat> DescribeNode(int node, const CopyPath& path) {
  struct stat st {};
  if (fstat(node, &st) != 0) return core::SysError("fstat", core::EscapeControl(path.clean));
  PathStat found;
  found.name = path.Name();
  found.size = static_cast<uint64_t>(st.st_size);
  found.mode = st.st_mode;
  found.mtime = TimePoint(std::chrono::duration_cast<TimePoint::duration>(
      std::chrono::seconds(st.st_mtim.tv_sec) + std::chrono::nanoseconds(st.st_mtim.tv_nsec)));
  if (S_ISLNK(st.st_mode)) {
    char target[PATH_MAX];
    const ssize_t size = readlinkat(node, "", target, sizeof target);
    if (size < 0) return core::SysError("readlinkat", core::EscapeControl(path.clean));
    found.link_target.assign(target, static_cast<size_t>(size));
  }
  return found;
}

archive::LiveIds IdsOf(const runtime::IdRange& range) { return {range.base, range.count}; }

// What is made is the container's root's, whichever file system it is made on: one that sees its
// files through an id map knows no other. Of this thread only, which is ours.
Status BecomeContainerRoot(const archive::LiveIds& ids) {
  // Else the change of ids would take away the rights to change owners.
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0) {
    return core::SysError("prctl", "PR_SET_SECUREBITS");
  }
  constexpr uint32_t kAsk = ~uint32_t{0};
  (void)setfsgid(ids.base);  // tells nothing but what was before
  (void)setfsuid(ids.base);
  if (static_cast<uint32_t>(setfsgid(kAsk)) != ids.base ||
      static_cast<uint32_t>(setfsuid(kAsk)) != ids.base) {
    return core::Internal("the ids of the container's root cannot be taken");
  }
  return Status();
}

Status AsContainerRoot(const archive::LiveIds& ids, const std::function<Status()>& work) {
  if (ids.count == 0) return work();
  Status result;
  std::thread thread([&] {
    result = BecomeContainerRoot(ids);
    if (result.ok()) result = work();
  });
  thread.join();
  return result;
}

StatusOr<core::RootDir> OpenRootOf(pid_t pid) {
  const std::string name = core::StrCat("/proc/", pid, "/root");
  core::Fd fd(open(name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return core::SysError("open", name);
  return core::RootDir(std::move(fd));
}

// Of a container of which only root and mounts matter.
void LeaveOnlyTheRoot(ContainerSpec& spec) {
  spec.network = "none";
  spec.user.clear();
  spec.working_dir = "/";
  spec.resources = {};
  spec.ulimits.clear();
  spec.sysctls.clear();
  spec.devices.clear();
  spec.timeout = {};
  spec.tty = spec.open_stdin = false;
  spec.init = true;
}

// The devices of the tmpfs that only a running container keeps.
std::vector<dev_t> PassingMounts(const core::RootDir& root, const init::LaunchSpec& spec) {
  std::vector<dev_t> devices;
  for (const init::MountOp& mount : spec.mounts) {
    if (mount.kind != init::MountOp::Kind::kTmpfs && mount.kind != init::MountOp::Kind::kDev) {
      continue;
    }
    const auto st = root.Stat(mount.target);
    if (st.ok()) devices.push_back(st->st_dev);
  }
  return devices;
}

}  // namespace

Status Runtime::Impl::WithStoppedRoot(Locked& container, const UseRoot& use,
                                      const std::stop_token& stop) {
  MBX_RETURN_IF_ERROR(runtime::CheckCanStart(container.record.info));
  const ContainerId& id = container.id();
  const std::string name = id.ToString();
  MBX_ASSIGN_OR_RETURN(runtime::ContainerConfig config, container.dir.ReadConfig());
  LeaveOnlyTheRoot(config.spec);
  const ContainerSpec& spec = config.spec;
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> layers, LayersOf(config, stop));
  MBX_ASSIGN_OR_RETURN(runtime::LaunchPlan plan, runtime::PlanLaunch(config, id, layers, host));
  if (!container.record.info.started) {
    MBX_RETURN_IF_ERROR(runtime::CopyRootAttributes(images->root->dir(), plan.spec.lowers.front(),
                                                    plan.spec.upper));
  }
  if (!container.dir.dir().Exists(runtime::kHostsFile)) {
    MBX_RETURN_IF_ERROR(WriteGeneratedFiles(spec, container.dir, {}));
  }

  runtime::OpenedBinds binds;
  const absl::Cleanup undo = [&] {
    ReleaseRun(id);
    runtime::RemoveMadeDirectories(binds);
  };
  // A start that died is rolled back by whoever comes first.
  if (run_dir.Exists(name)) ReleaseRun(id);
  MBX_RETURN_IF_ERROR(run_dir.MakeDir(name, 0700));
  MBX_RETURN_IF_ERROR(
      runtime::OpenBinds(host, *images->root, images->volumes, container.dir, stop, plan, binds));
  runtime::IdRange ids;
  if (runtime::HostIdsReason(spec, binds).empty()) {
    MBX_ASSIGN_OR_RETURN(ids, id_ranges.Acquire(name));
    SetIdRange(ids, plan);
  } else {
    (void)SetHostIds(spec.security, host, plan);  // warnings are a start's
  }
  plan.spec.sysctls.clear();
  plan.spec.rlimits.clear();
  plan.spec.oom_score_adj.reset();
  plan.spec.seccomp_program.clear();
  plan.spec.log = plan.spec.record_exit = false;
  MBX_ASSIGN_OR_RETURN(const std::unique_ptr<kernel::Cgroup> cgroup, cgroups->Create(name, {}));

  runtime::LaunchFds fds;
  fds.data_root = images->root->dir().fd();
  for (const core::Fd& fd : binds.fds) fds.binds.push_back(fd.get());
  bool used = false;
  Status result;
  runtime::LaunchHooks hooks;
  hooks.configure = [&](const runtime::SetUp& set_up) -> Status {
    MBX_ASSIGN_OR_RETURN(const core::RootDir root, OpenRootOf(set_up.pid));
    used = true;
    result = use({root, ids, PassingMounts(root, plan.spec)});
    return core::Cancelled("nothing is to run");
  };
  const auto launched = launcher->Launch(plan.spec, fds, *cgroup, false, hooks, stop);
  return used ? result : runtime::AsStartFailure(launched.status());
}

Status Runtime::Impl::WithRoot(const ContainerId& id, const UseRoot& use,
                               const std::stop_token& stop, ContainerInfo* info) {
  for (int ends = 0; ends < kMaxEnds; ++ends) {
    runtime::MonitorIdentity monitor;
    {
      MBX_ASSIGN_OR_RETURN(Locked container, Lock(id, stop));
      if (info != nullptr) *info = container.record.info;
      if (!runtime::IsLive(container.record.info.state)) {
        return WithStoppedRoot(container, use, stop);
      }
      const auto pid1 = OpenPid1(container.record);
      if (pid1.ok()) {
        const auto root = OpenRootOf(container.record.info.pid);
        const runtime::IdRange ids = container.record.ids;
        // Only a process that still lives had that number when its root was opened.
        if (root.ok() && !runtime::HasEnded(pid1->get())) {
          { const Locked unlocked = std::move(container); }
          MBX_RETURN_IF_ERROR(use({*root, ids, {}}));
          if (!runtime::HasEnded(pid1->get())) return Status();
          // Its mounts have come apart, nobody knows when.
          return core::FailedPrecondition(
              "container_not_running",
              core::StrCat("container ", id.ToString(), " ended during the copy"));
        }
      } else if (pid1.status().reason() != "container_not_running") {
        return pid1.status();
      }
      monitor = container.record.monitor;
    }
    // It has ended, and nobody has said so yet.
    MBX_RETURN_IF_ERROR(FinishRun(id, monitor, std::nullopt, stop).status());
  }
  return core::Error(StatusCode::kAborted, "", "the container keeps ending");
}

StatusOr<PathStat> Runtime::Impl::StatPath(const ContainerId& id, std::string_view text,
                                           bool follow_link) {
  MBX_ASSIGN_OR_RETURN(const CopyPath path, CopyPath::Parse(text));
  PathStat found;
  MBX_RETURN_IF_ERROR(WithRoot(id,
                               [&](const SeenRoot& seen) -> Status {
                                 MBX_ASSIGN_OR_RETURN(const core::Fd node,
                                                      OpenNode(seen.root, path, follow_link));
                                 MBX_ASSIGN_OR_RETURN(found, DescribeNode(node.get(), path));
                                 return Status();
                               },
                               {}));
  return found;
}

Status Runtime::Impl::CopyOut(const ContainerId& id, std::string_view text, const BytesSink& tar,
                              const CopyOutOptions& options, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const CopyPath path, CopyPath::Parse(text));
  ContainerInfo info{.id = id};
  MBX_RETURN_IF_ERROR(WithRoot(
      id,
      [&](const SeenRoot& seen) -> Status {
        MBX_ASSIGN_OR_RETURN(const core::Fd node, OpenNode(seen.root, path, options.follow_link));
        MBX_ASSIGN_OR_RETURN(const PathStat found, DescribeNode(node.get(), path));
        if (S_ISSOCK(found.mode)) {
          return core::InvalidArgument("path", "a socket cannot be copied");
        }
        if (options.found) MBX_RETURN_IF_ERROR(options.found(found));
        const archive::LiveSource source{found.name == "/" ? "" : found.name, IdsOf(seen.ids)};
        return archive::WriteLiveTree(node.get(), source, tar, stop);
      },
      stop, &info));
  Emit("container.copy", info, {{"direction", "out"}, {"path", path.clean}});
  return Status();
}

Status Runtime::Impl::CopyIn(const ContainerId& id, std::string_view text, int tar,
                             const CopyInOptions& options, std::stop_token stop) {
  MBX_ASSIGN_OR_RETURN(const CopyPath path, CopyPath::Parse(text));
  ContainerInfo info{.id = id};
  const auto copy = [&](const SeenRoot& seen) -> Status {
    auto directory = seen.root.OpenAt(path.clean, O_PATH | O_DIRECTORY);
    if (!directory.ok()) return PathError(directory.status(), path);
    if (archive::IsPseudoFileSystem(directory->get())) return Refused(path);
    struct stat st {};
    if (fstat(directory->get(), &st) != 0) return core::SysError("fstat", "path");
    if (std::find(seen.passing.begin(), seen.passing.end(), st.st_dev) != seen.passing.end()) {
      return core::FailedPrecondition(
                 "container_not_running",
                 core::StrCat("'", core::EscapeControl(path.clean),
                              "' is in memory and there only while the container runs"))
          .WithField("path");
    }
    archive::ApplyOptions apply;
    apply.whiteouts = false;
    apply.live.emplace();
    archive::LiveTarget& live = *apply.live;
    live.owner =
        options.keep_ids ? archive::LiveTarget::Owner::kArchive : archive::LiveTarget::Owner::kRoot;
    live.ids = IdsOf(seen.ids);
    live.into = path.clean.substr(1);
    const Status applied = AsContainerRoot(live.ids, [&] {
      return archive::ApplyLayer(archive::Decompress(archive::ReadFromFd(tar)), seen.root, apply,
                                 stop)
          .status();
    });
    return applied.sys_errno() == EROFS ? PathError(applied, path) : applied;
  };
  MBX_RETURN_IF_ERROR(WithRoot(id, copy, stop, &info));
  Emit("container.copy", info, {{"direction", "in"}, {"path", path.clean}});
  return Status();
}

StatusOr<PathStat> Runtime::StatPath(const ContainerId& id, std::string_view path,
                                     bool follow_link) {
  return impl_->StatPath(id, path, follow_link);
}

Status Runtime::CopyOut(const ContainerId& id, std::string_view path, const BytesSink& tar,
                        const CopyOutOptions& options, std::stop_token stop) {
  return impl_->CopyOut(id, path, tar, options, std::move(stop));
}

Status Runtime::CopyIn(const ContainerId& id, std::string_view directory, int tar,
                       const CopyInOptions& options, std::stop_token stop) {
  return impl_->CopyIn(id, directory, tar, options, std::move(stop));
}

}  // namespace v1
}  // namespace minibox
