// SPDX-License-Identifier: Apache-2.0
// Everything there is to know of a container (spec §5.2).
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "core/errors.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/capabilities.h"
#include "runtime/health_log.h"
#include "runtime/launch_plan.h"
#include "runtime/runtime_impl.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr int kMaxTreeDepth = 4096;

// Sizes of everything below `dir`, files with several names once. What vanishes meanwhile does
// not count.
Status AddTreeSize(core::Fd dir, int depth, std::set<std::pair<dev_t, ino_t>>& counted,
                   uint64_t& bytes) {
  if (depth > kMaxTreeDepth) return core::Internal("the tree is too deep");
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(dir.get()), closedir);
  if (stream == nullptr) return core::SysError("fdopendir", "upper");
  (void)dir.release();  // the stream's now
  while (const dirent* entry = readdir(stream.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const int parent = dirfd(stream.get());
    struct stat st {};
    if (fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      core::Fd below(openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (below.valid()) {
        MBX_RETURN_IF_ERROR(AddTreeSize(std::move(below), depth + 1, counted, bytes));
      }
    } else if (st.st_nlink < 2 || counted.emplace(st.st_dev, st.st_ino).second) {
      bytes += static_cast<uint64_t>(st.st_size);
    }
  }
  return Status();
}

std::vector<MountDetails> DescribeMounts(const ContainerSpec& spec, const std::string& data_root) {
  std::vector<MountDetails> mounts;
  for (const Mount& mount : spec.mounts) {
    MountDetails details{.target = mount.target, .options = mount.options};
    switch (mount.kind) {
      case Mount::Kind::kBind:
        details.type = "bind";
        details.source = mount.source;
        break;
      case Mount::Kind::kVolume:
        details.type = "volume";
        details.source = core::StrCat(data_root, "/volumes/", mount.source);
        details.name = mount.source;
        break;
      case Mount::Kind::kTmpfs:
        details.type = "tmpfs";
        break;
    }
    mounts.push_back(std::move(details));
  }
  return mounts;
}

std::vector<std::string> CapabilityNames(uint64_t set) {
  std::vector<std::string> names;
  for (int bit = 0; bit < 64; ++bit) {
    if ((set >> bit & 1) != 0) names.push_back(kernel::CapabilityName(bit));
  }
  return names;
}

LimitDetails Describe(const kernel::CgroupLimits& limits) {
  return {.memory_bytes = limits.memory_bytes,
          .memory_swap_bytes = limits.memory_swap_bytes,
          .cpu_quota_us = limits.cpu_quota_us,
          .pids = limits.pids,
          .cpuset = limits.cpuset,
          .io_weight = limits.io_weight};
}

}  // namespace

StatusOr<ContainerDetails> Runtime::Impl::InspectDetails(const ContainerId& id, bool size) {
  MBX_ASSIGN_OR_RETURN(runtime::ContainerRecord record, Observe(id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, id));
  MBX_ASSIGN_OR_RETURN(runtime::ContainerConfig config, dir.ReadConfig());
  const bool live = runtime::IsLive(record.info.state);

  ContainerDetails details{.info = std::move(record.info)};
  details.mounts = DescribeMounts(config.spec, images->root->path());
  details.log_path =
      core::StrCat(images->root->path(), "/", runtime::ContainerDir::Path(id), "/container.log");
  SecurityDetails& security = details.security;
  const Security& asked = config.spec.security;
  security.no_new_privs = !asked.privileged;
  security.seccomp = asked.privileged || asked.seccomp == Security::Seccomp::kUnconfined
                         ? "unconfined"
                         : "default";
  // A record of the last run says whose ids it had; before the first only what was asked for.
  const bool own_ids = record.ids.count > 0 || (!details.info.started && !asked.host_userns);
  security.userns = own_ids ? "auto" : "host";
  if (live && record.ids.count > 0) {
    security.id_map.push_back(
        {.container_id = 0, .host_id = record.ids.base, .size = record.ids.count});
  }
  // The plan says which capabilities a start gives.
  auto plan = runtime::PlanLaunch(config, id, {}, host);
  if (plan.ok()) {
    if (own_ids) {
      runtime::SetIdRange(record.ids, *plan);
    } else {
      (void)runtime::SetHostIds(asked, host, *plan);  // warnings are in the record
    }
    security.capabilities = CapabilityNames(plan->spec.capabilities);
    security.no_new_privs = plan->spec.no_new_privs;
  }
  if (live) {
    auto cgroup = cgroups->Open(id.ToString());
    if (cgroup.ok()) {
      details.cgroup = (*cgroup)->path();
      details.limits = Describe((*cgroup)->Limits());
    } else if (cgroup.status().code() != StatusCode::kNotFound) {
      core::LogWarning("runtime", core::StrCat(cgroup.status().message(), ", limits not shown"));
    }
  }
  if (size) {
    uint64_t bytes = 0;
    std::set<std::pair<dev_t, ino_t>> counted;
    MBX_ASSIGN_OR_RETURN(core::Fd upper, dir.dir().OpenNoFollow("upper", O_RDONLY | O_DIRECTORY));
    MBX_RETURN_IF_ERROR(AddTreeSize(std::move(upper), 0, counted, bytes));
    details.size_rw = bytes;
  }
  details.health_log = runtime::ReadHealthLog(dir);
  details.config = std::move(config.spec);
  return details;
}

StatusOr<ContainerDetails> Runtime::InspectDetails(const ContainerId& id, bool size) const {
  return impl_->InspectDetails(id, size);
}

}  // namespace v1
}  // namespace minibox
