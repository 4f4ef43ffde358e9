// SPDX-License-Identifier: Apache-2.0
#include "build/step_runner.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/errors.h"
#include "core/file.h"
#include "core/id.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/features.h"
#include "runtime/launch_plan.h"
#include "runtime/run_claim.h"
#include "runtime/security_defaults.h"

namespace minibox::build {
namespace {

constexpr std::string_view kHostname = "minibox-build";
constexpr size_t kMaxResolvConf = 1u << 20;
constexpr uint64_t kShmBytes = 256u << 20;
// Not like a container's id: those are hex digits only.
constexpr std::string_view kIdPrefix = "bs";
constexpr int kIdDigits = 8;

StatusOr<std::string> ResolvConfText(const StepEnvironment& environment,
                                     const std::string& network) {
  if (network != "host") return environment.network.resolv_conf();
  auto text = core::ReadFileAt(AT_FDCWD, "/etc/resolv.conf", kMaxResolvConf);
  // A host without one has no names to resolve.
  if (!text.ok() && text.status().code() == StatusCode::kNotFound) return std::string();
  return text;
}

std::string HostsText(const std::string& ip) {
  std::string text =
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "ff02::1\tip6-allnodes\n"
      "ff02::2\tip6-allrouters\n";
  if (!ip.empty()) text += core::StrCat("\n", ip, "\t", kHostname, "\n");
  return text;
}

// The parts of one step, taken in order and given back in reverse.
class Step {
 public:
  Step(const StepEnvironment& environment, const StepRequest& request, runtime::RunClaim claim)
      : environment_(environment), request_(request), claim_(std::move(claim)) {}

  ~Step() {
    if (cgroup_ != nullptr) {
      Note(cgroup_->KillAll());
      Note(cgroup_->Remove());
    }
    Note(environment_.network.release(id()));
    Note(environment_.id_ranges.Release(id()));
  }
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  StatusOr<StepResult> Run(const std::function<void(std::string_view)>& output,
                           const std::stop_token& stop) {
    MBX_RETURN_IF_ERROR(Prepare());
    runtime::LaunchFds fds;
    fds.data_root = environment_.data_root.dir().fd();
    for (const auto& bind : binds_) fds.binds.push_back(bind.get());
    runtime::LaunchHooks hooks;
    hooks.configure = [this](const runtime::SetUp& set_up) { return Configure(set_up); };
    MBX_ASSIGN_OR_RETURN(
        runtime::Launched launched,
        environment_.launcher.Launch(spec_, fds, *cgroup_, /*capture=*/true, hooks, stop));

    const Status read = runtime::ReadOutput(
        launched.output.get(),
        [&output](const OutputChunk& chunk) {
          output(chunk.bytes);
          return Status();
        },
        stop);
    if (read.code() == StatusCode::kCancelled) return read;
    MBX_ASSIGN_OR_RETURN(ExitStatus exit, launched.connection.WaitExit(stop));
    MBX_RETURN_IF_ERROR(read);
    StepResult result{.exit = std::move(exit)};
    if (const auto usage = cgroup_->Usage(); usage.ok()) result.cpu_usec = usage->cpu_usec;
    return result;
  }

 private:
  const std::string& id() const { return claim_.id(); }

  void Note(const Status& status) const {
    if (status.ok() || status.code() == StatusCode::kNotFound) return;
    core::LogWarning("build",
                     core::StrCat("clean-up of step ", id(), ": ", status.message(), ", going on"));
  }

  Status Prepare() {
    if (request_.network == "bridge") {
      network::EndpointRequest wanted;
      wanted.container = id();
      MBX_ASSIGN_OR_RETURN(reservation_, environment_.network.reserve(wanted));
    }
    MBX_RETURN_IF_ERROR(PlanSpec());
    MBX_RETURN_IF_ERROR(SetIds());
    MBX_RETURN_IF_ERROR(GiveFilesAway());
    MBX_ASSIGN_OR_RETURN(
        cgroup_, environment_.cgroups.Create(id(), runtime::PlanLimits(request_.resources)));
    return {};
  }

  Status PlanSpec() {
    spec_.id = id();
    spec_.hostname = kHostname;
    const bool host_network = request_.network == "host";
    spec_.net = host_network ? init::LaunchSpec::Net::kHost : init::LaunchSpec::Net::kNew;
    spec_.lowers = request_.stack->Lowers();
    spec_.lowers.push_back(request_.shared->plumbing_path());
    spec_.upper = request_.dir->upper_path();
    spec_.work = request_.dir->work_path();

    int host_sys = -1;
    if (host_network) {
      MBX_ASSIGN_OR_RETURN(const core::RootDir root, core::RootDir::Open("/"));
      MBX_ASSIGN_OR_RETURN(core::Fd sys, root.OpenAt("sys", O_PATH | O_DIRECTORY));
      host_sys = AddBind(std::move(sys));
    }
    spec_.mounts = runtime::DefaultMounts(kShmBytes, /*privileged=*/false, host_sys);
    for (const auto& point : request_.mounts) MBX_RETURN_IF_ERROR(AddMount(point));
    MBX_RETURN_IF_ERROR(BindFiles());
    spec_.masked_paths = runtime::DefaultMaskedPaths(environment_.host);
    spec_.read_only_paths = runtime::DefaultReadOnlyPaths();
    spec_.rlimits = runtime::DefaultRlimits(environment_.host);
    spec_.oom_score_adj = request_.resources.oom_score_adj;

    spec_.argv = request_.argv;
    if (!request_.script.empty()) spec_.argv = {core::StrCat("/", kScriptPath)};
    spec_.env = request_.env;
    spec_.working_dir = request_.workdir;
    spec_.user = request_.user;
    spec_.merge_output = true;
    spec_.log = spec_.record_exit = false;
    return runtime::ApplySecurity(Security{}, spec_);
  }

  int AddBind(core::Fd fd) {
    binds_.push_back(std::move(fd));
    return static_cast<int>(binds_.size()) - 1;
  }

  Status AddMount(const StepMountPoint& point) {
    init::MountOp op;
    op.target = point.target;
    op.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    switch (point.kind) {
      case StepMountPoint::Kind::kTmpfs:
        op.kind = init::MountOp::Kind::kTmpfs;
        op.data = "mode=1777";
        if (point.bytes > 0) op.data += core::StrCat(",size=", point.bytes);
        break;
      case StepMountPoint::Kind::kTree: {
        const int own = fcntl(point.source, F_DUPFD_CLOEXEC, 0);
        if (own < 0) return core::SysError("fcntl", point.target);
        op.fd_index = AddBind(core::Fd(own));
        op.id_mapped = true;
        if (!point.writable) op.attributes |= MOUNT_ATTR_RDONLY;
        break;
      }
      case StepMountPoint::Kind::kFile: {
        core::Fd file(memfd_create("minibox-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING));
        if (!file.valid()) return core::SysError("memfd_create", point.target);
        MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), point.content));
        if (fchmod(file.get(), point.mode & 07777) != 0) {
          return core::SysError("fchmod", point.target);
        }
        op.kind = init::MountOp::Kind::kFile;
        op.attributes |= MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
        op.fd_index = AddBind(std::move(file));
        files_.emplace_back(op.fd_index, &point);
        break;
      }
    }
    // Before the first that lies below it, so that it hides nothing.
    const auto child = std::find_if(
        spec_.mounts.begin(), spec_.mounts.end(),
        [&](const init::MountOp& other) { return other.target.starts_with(point.target + "/"); });
    spec_.mounts.insert(child, std::move(op));
    return {};
  }

  // A file says by its owner on the host whom it belongs to inside.
  Status GiveFilesAway() {
    for (const auto& [index, point] : files_) {
      const bool fits =
          !spec_.user_namespace || (point->uid < spec_.id_count && point->gid < spec_.id_count);
      if (!fits) {
        return core::InvalidArgument(
            "mount", core::StrCat("'", core::EscapeControl(point->target), "': uid or gid exceeds ",
                                  spec_.id_count - 1));
      }
      const int file = binds_[static_cast<size_t>(index)].get();
      if (fchown(file, spec_.id_base + point->uid, spec_.id_base + point->gid) != 0) {
        return core::SysError("fchown", point->target);
      }
    }
    return {};
  }

  Status BindFiles() {
    MBX_ASSIGN_OR_RETURN(const std::string resolv_conf,
                         ResolvConfText(environment_, request_.network));
    constexpr uint64_t kPlain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    MBX_RETURN_IF_ERROR(BindFile("hosts", HostsText(reservation_.endpoint.ip), 0644, "/etc/hosts",
                                 kPlain | MOUNT_ATTR_NOEXEC));
    MBX_RETURN_IF_ERROR(
        BindFile("resolv.conf", resolv_conf, 0644, "/etc/resolv.conf", kPlain | MOUNT_ATTR_NOEXEC));
    MBX_RETURN_IF_ERROR(BindFile("hostname", core::StrCat(kHostname, "\n"), 0644, "/etc/hostname",
                                 kPlain | MOUNT_ATTR_NOEXEC));
    if (request_.script.empty()) return {};
    return BindFile("script", request_.script, 0755, core::StrCat("/", kScriptPath),
                    kPlain | MOUNT_ATTR_RDONLY);
  }

  Status BindFile(std::string_view purpose, std::string_view text, mode_t mode, std::string target,
                  uint64_t attributes) {
    // One directory may serve several steps, one after the other.
    const std::string name = core::StrCat(id(), "-", purpose);
    const core::RootDir& dir = request_.dir->operation().dir();
    {
      MBX_ASSIGN_OR_RETURN(const core::Fd file,
                           dir.OpenNoFollow(name, O_WRONLY | O_CREAT | O_EXCL, 0600));
      MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), text));
      if (fchmod(file.get(), mode) != 0) return core::SysError("fchmod", name);
    }
    MBX_ASSIGN_OR_RETURN(core::Fd bound, dir.OpenNoFollow(name, O_PATH));
    init::MountOp op;
    op.kind = init::MountOp::Kind::kBind;
    op.target = std::move(target);
    op.id_mapped = true;
    op.attributes = attributes;
    op.fd_index = AddBind(std::move(bound));
    spec_.mounts.push_back(std::move(op));
    return {};
  }

  // As for a container (spec §12.3): a range of its own if the kernel can.
  Status SetIds() {
    const auto& features = kernel::HostFeatures();
    spec_.user_namespace = features.user_namespaces && features.idmapped_mounts;
    if (spec_.user_namespace) {
      MBX_ASSIGN_OR_RETURN(const runtime::IdRange ids, environment_.id_ranges.Acquire(id()));
      spec_.id_base = ids.base;
      spec_.id_count = ids.count;
    } else {
      spec_.id_base = spec_.id_count = 0;
      for (auto& mount : spec_.mounts) mount.id_mapped = false;
    }
    if (spec_.net != init::LaunchSpec::Net::kNew) return {};
    spec_.sysctls = runtime::DefaultSysctls(spec_.user_namespace, spec_.id_count);
    if (request_.network == "bridge" && environment_.host.ipv6) {
      for (auto& sysctl : network::NamespaceSysctls()) spec_.sysctls.push_back(std::move(sysctl));
    }
    return {};
  }

  Status Configure(const runtime::SetUp& set_up) {
    if (!cgroup_->JoinDirs().empty()) {
      MBX_ASSIGN_OR_RETURN(const std::vector<int> members, cgroup_->Pids());
      if (std::find(members.begin(), members.end(), set_up.pid) == members.end()) {
        return core::Internal(core::StrCat("PID 1 is not in cgroup ", cgroup_->path()));
      }
    }
    if (request_.network == "bridge") {
      return environment_.network.attach(reservation_.endpoint, id(), set_up.netns.get(),
                                         set_up.rtnetlink.get());
    }
    if (request_.network == "none") {
      return environment_.network.set_up_loopback(set_up.rtnetlink.get());
    }
    return {};
  }

  const StepEnvironment& environment_;
  const StepRequest& request_;
  runtime::RunClaim claim_;  // outlives all that it stands for
  network::Reservation reservation_;
  std::vector<core::Fd> binds_;
  std::vector<std::pair<int, const StepMountPoint*>> files_;  // index into binds_
  init::LaunchSpec spec_;
  std::unique_ptr<kernel::Cgroup> cgroup_;
};

}  // namespace

StatusOr<StepResult> RunStep(const StepEnvironment& environment, const StepRequest& request,
                             const std::function<void(std::string_view)>& output,
                             std::stop_token stop) {
  const std::string id = core::StrCat(kIdPrefix, core::RandomHex(kIdDigits));
  MBX_ASSIGN_OR_RETURN(runtime::RunClaim claim,
                       runtime::RunClaim::Acquire(environment.run_dir, id));
  Step step(environment, request, std::move(claim));
  return step.Run(output, stop);
}

std::string DescribeExit(const ExitStatus& exit) {
  if (exit.oom_killed) return "out of memory";
  if (exit.signal != 0) return core::StrCat("signal: ", core::SignalName(exit.signal));
  if (exit.code != 0) return core::StrCat("exit status ", exit.code);
  return exit.error;
}

}  // namespace minibox::build
