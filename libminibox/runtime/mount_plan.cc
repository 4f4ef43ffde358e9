// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount_plan.h"

#include <sys/mount.h>

#include <algorithm>

#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/mount_options.h"
#include "runtime/security_defaults.h"
#include "runtime/spec_validate.h"

namespace minibox::runtime {
namespace {

using init::MountOp;

int AddSource(MountPlan& plan, BindSource source) {
  plan.sources.push_back(std::move(source));
  return static_cast<int>(plan.sources.size()) - 1;
}

StatusOr<MountOp> PlanUserMount(const Mount& mount, MountPlan& plan) {
  const std::string field = MountField(mount);
  MBX_ASSIGN_OR_RETURN(const MountOptions options,
                       ParseMountOptions(mount.kind, mount.options, field));
  MountOp op;
  op.target = mount.target;
  op.attributes = options.attributes;
  op.propagation = options.propagation;
  if (mount.kind == Mount::Kind::kTmpfs) {
    op.kind = MountOp::Kind::kTmpfs;
    op.data = options.tmpfs_data;
    return op;
  }
  op.kind = MountOp::Kind::kBind;
  op.id_mapped = true;
  const bool bind = mount.kind == Mount::Kind::kBind;
  op.recursive = true;
  op.copy_up = !bind && options.copy_up;
  op.fd_index =
      AddSource(plan, {.kind = bind ? BindSource::Kind::kHostPath : BindSource::Kind::kVolume,
                       .name = mount.source,
                       .create = bind && options.create,
                       .checked = bind,
                       .field = field});
  return op;
}

void Insert(MountOp op, std::vector<MountOp>& ops) {
  // Before the first that lies below it, so that it hides nothing.
  const auto child = std::find_if(ops.begin(), ops.end(), [&](const MountOp& other) {
    return IsWithin(other.target, op.target);
  });
  ops.insert(child, std::move(op));
}

}  // namespace

StatusOr<MountPlan> PlanMounts(const ContainerSpec& spec, const std::vector<std::string>& devices) {
  MountPlan plan;
  const auto is_taken = [&spec](std::string_view target) {
    return std::any_of(spec.mounts.begin(), spec.mounts.end(),
                       [&](const Mount& mount) { return mount.target == target; });
  };
  int host_sys = -1;
  if (spec.network == "host") {
    host_sys = AddSource(plan, {.kind = BindSource::Kind::kHostPath, .name = "/sys"});
  }
  for (MountOp& op : DefaultMounts(spec.shm_bytes, spec.security.privileged, host_sys)) {
    if (!is_taken(op.target)) plan.ops.push_back(std::move(op));
  }
  if (spec.db_mode && !is_taken("/tmp")) {
    MountOp tmp;
    tmp.kind = MountOp::Kind::kTmpfs;
    tmp.target = "/tmp";
    tmp.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    tmp.data = "mode=1777";
    plan.ops.push_back(std::move(tmp));
  }
  for (const std::string& device : devices) {
    if (is_taken("/dev") || is_taken(device)) continue;
    MountOp op;
    op.kind = MountOp::Kind::kBind;
    op.target = device;
    op.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    op.fd_index = AddSource(plan, {.kind = BindSource::Kind::kHostPath, .name = device});
    plan.ops.push_back(std::move(op));
  }
  std::vector<Mount> mounts = spec.mounts;
  std::sort(mounts.begin(), mounts.end(),
            [](const Mount& a, const Mount& b) { return a.target < b.target; });
  for (const Mount& mount : mounts) {
    MBX_ASSIGN_OR_RETURN(MountOp op, PlanUserMount(mount, plan));
    Insert(std::move(op), plan.ops);
  }
  for (const std::string_view name : {kHostsFile, kResolvConfFile, kHostnameFile}) {
    const std::string target = core::StrCat("/etc/", name);
    if (is_taken(target)) continue;
    MountOp op;
    op.kind = MountOp::Kind::kBind;
    op.target = target;
    op.id_mapped = true;
    op.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
                    (spec.security.read_only_rootfs ? MOUNT_ATTR_RDONLY : 0);
    // Of a network that it shares with another container the names are the other's as well.
    const auto joined = JoinedContainer(spec.network);
    op.fd_index = AddSource(plan, {.kind = BindSource::Kind::kGenerated,
                                   .name = std::string(name),
                                   .owner = name == kHostnameFile ? "" : joined.value_or("")});
    plan.ops.push_back(std::move(op));
  }
  return plan;
}

}  // namespace minibox::runtime
