// SPDX-License-Identifier: Apache-2.0
#include "runtime/security_defaults.h"

#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>
#include <limits>

#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/capabilities.h"
#include "kernel/oci_seccomp.h"
#include "kernel/seccomp.h"

namespace minibox::runtime {
namespace {

using init::MountOp;
using Kind = init::MountOp::Kind;

constexpr uint64_t kNoSuid = MOUNT_ATTR_NOSUID;
constexpr uint64_t kNoDev = MOUNT_ATTR_NODEV;
constexpr uint64_t kNoExec = MOUNT_ATTR_NOEXEC;
constexpr uint64_t kReadOnly = MOUNT_ATTR_RDONLY;
constexpr uint64_t kMiB = 1u << 20;

MountOp Special(Kind kind, std::string target, uint64_t attributes, std::string data = "") {
  MountOp op;
  op.kind = kind;
  op.target = std::move(target);
  op.attributes = attributes;
  op.data = std::move(data);
  return op;
}

}  // namespace

std::vector<MountOp> DefaultMounts(uint64_t shm_bytes, bool privileged, int host_sys_index) {
  const uint64_t sys_read_only = privileged ? 0 : kReadOnly;
  MountOp sys = Special(Kind::kSysfs, "/sys", kNoSuid | kNoDev | kNoExec | sys_read_only);
  if (host_sys_index >= 0) {
    sys.kind = Kind::kBind;
    sys.fd_index = host_sys_index;
    sys.recursive = true;
  }
  const std::string shm_size =
      shm_bytes % kMiB == 0 ? core::StrCat(shm_bytes / kMiB, "m") : core::StrCat(shm_bytes);
  return {
      Special(Kind::kProc, "/proc", kNoSuid | kNoDev | kNoExec),
      std::move(sys),
      Special(Kind::kCgroup, "/sys/fs/cgroup", kNoSuid | kNoDev | kNoExec | sys_read_only),
      Special(Kind::kDev, "/dev", kNoSuid | kNoExec | MOUNT_ATTR_STRICTATIME,
              "mode=755,size=65536k"),
      Special(Kind::kDevpts, "/dev/pts", kNoSuid | kNoExec,
              "newinstance,ptmxmode=0666,mode=0620,gid=5"),
      Special(Kind::kTmpfs, "/dev/shm", kNoSuid | kNoDev | kNoExec, "mode=1777,size=" + shm_size),
      Special(Kind::kMqueue, "/dev/mqueue", kNoSuid | kNoDev | kNoExec),
  };
}

std::vector<std::string> DefaultMaskedPaths(const HostFacts& host) {
  std::vector<std::string> paths = {
      "/proc/acpi",        "/proc/asound",  "/proc/interrupts",
      "/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
      "/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
      "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
  };
  paths.insert(paths.end(), host.thermal_paths.begin(), host.thermal_paths.end());
  return paths;
}

std::vector<std::string> DefaultReadOnlyPaths() {
  return {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
}

std::vector<init::Rlimit> DefaultRlimits(const HostFacts& host) {
  constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();
  const uint64_t files = std::min<uint64_t>(1048576, host.nr_open);
  return {{RLIMIT_CORE, 0, 0, true},
          {RLIMIT_NOFILE, std::min<uint64_t>(1024, files), files, true},
          {RLIMIT_NPROC, kUnlimited, kUnlimited, true}};
}

std::vector<std::pair<std::string, std::string>> DefaultSysctls(bool user_namespace,
                                                                uint32_t id_count) {
  // The kernel refuses gids of ping_group_range above 2^31 - 1, and those that are not mapped.
  constexpr uint32_t kMaxPingGid = 2147483647;
  const uint32_t last = user_namespace ? std::min(id_count - 1, kMaxPingGid) : kMaxPingGid;
  return {{"net/ipv4/ip_unprivileged_port_start", "0"},
          {"net/ipv4/ping_group_range", core::StrCat("0 ", last)}};
}

Status ApplySecurity(const Security& security, init::LaunchSpec& spec) {
  std::vector<std::string> warnings;
  return ApplySecurity(security, /*db_mode=*/false, spec, warnings);
}

Status ApplySecurity(const Security& security, bool db_mode, init::LaunchSpec& spec,
                     std::vector<std::string>& warnings) {
  // A database keeps all of them, which in a user namespace reach no further than the container.
  const bool all = security.privileged || (db_mode && !security.host_userns);
  const uint64_t base = all ? kernel::AllCapabilities() : kernel::DefaultCapabilities();
  MBX_ASSIGN_OR_RETURN(spec.capabilities,
                       kernel::ResolveCapabilities(base, security.cap_add, security.cap_drop));
  // Users other than root get what was asked for by name; the rest is only their bound.
  MBX_ASSIGN_OR_RETURN(const uint64_t added, kernel::ResolveCapabilities(0, security.cap_add, {}));
  spec.ambient = added & spec.capabilities;
  spec.no_new_privs = !security.privileged;
  spec.seccomp_program.clear();
  if (security.privileged && security.seccomp != Security::Seccomp::kProfile) return Status();
  // What the filter ties to capabilities does not open for those that db_mode merely leaves.
  MBX_ASSIGN_OR_RETURN(
      const uint64_t asked_for,
      kernel::ResolveCapabilities(
          security.privileged ? kernel::AllCapabilities() : kernel::DefaultCapabilities(),
          security.cap_add, security.cap_drop));
  switch (security.seccomp) {
    case Security::Seccomp::kUnconfined:
      break;
    case Security::Seccomp::kDefault: {
      MBX_ASSIGN_OR_RETURN(spec.seccomp_program, kernel::DefaultSeccompProgram(asked_for));
      break;
    }
    case Security::Seccomp::kProfile: {
      MBX_ASSIGN_OR_RETURN(kernel::CompiledProfile compiled,
                           kernel::CompileOciSeccomp(security.seccomp_profile, asked_for));
      spec.seccomp_program = std::move(compiled.program);
      warnings.insert(warnings.end(), compiled.warnings.begin(), compiled.warnings.end());
      break;
    }
  }
  return Status();
}

}  // namespace minibox::runtime
