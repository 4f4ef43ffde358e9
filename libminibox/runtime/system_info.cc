// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <set>

#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/features.h"
#include "minibox/system.h"
#include "minibox/version.h"
#include "oci/manifest.h"
#include "runtime/runtime_impl.h"

namespace minibox {
inline namespace v1 {
namespace {

constexpr size_t kMaxProcFile = 1u << 20;

bool HasFileSystem(std::string_view name) {
  const core::Fd proc(open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!proc.valid()) return false;
  const auto text = core::ReadFileAt(proc.get(), "filesystems", kMaxProcFile);
  if (!text.ok()) return false;
  for (const std::string_view line : core::StrSplit(*text, '\n')) {
    if (line.ends_with(core::StrCat("\t", name))) return true;
  }
  return false;
}

bool HasNftables() {
  const core::Fd socket_fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  return socket_fd.valid();
}

unsigned UsableCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

}  // namespace

StatusOr<SystemInfo> Runtime::GetSystemInfo() const {
  utsname host{};
  if (uname(&host) != 0) return core::SysError("uname", "");
  struct sysinfo memory {};
  if (sysinfo(&memory) != 0) return core::SysError("sysinfo", "");
  const kernel::Features& kernel = kernel::HostFeatures();
  SystemInfo info;
  info.version = LibraryVersion();
  info.data_root = impl_->images->root->path();
  info.run_dir = impl_->host.run_dir;
  info.kernel = host.release;
  info.os = "linux";
  info.architecture = oci::HostPlatform().architecture;
  info.cpus = UsableCpus();
  info.memory_bytes = uint64_t{memory.totalram} * memory.mem_unit;
  info.cgroup = impl_->cgroups->version();
  info.controllers = impl_->cgroups->controllers();
  info.features = {{"userns", kernel.user_namespaces},
                   {"idmapped_mounts", kernel.idmapped_mounts},
                   {"seccomp", kernel.seccomp},
                   {"nftables", HasNftables()},
                   {"fuse", access("/dev/fuse", R_OK | W_OK) == 0},
                   {"erofs", HasFileSystem("erofs")},
                   {"ipv6", impl_->host.ipv6}};
  for (const ContainerState state :
       {ContainerState::kCreated, ContainerState::kRunning, ContainerState::kPaused,
        ContainerState::kExited, ContainerState::kRemoving}) {
    info.containers[std::string(runtime::StateName(state))] = 0;
  }
  MBX_ASSIGN_OR_RETURN(const auto containers, List());
  for (const ContainerInfo& container : containers)
    ++info.containers[std::string(runtime::StateName(container.state))];
  MBX_ASSIGN_OR_RETURN(const auto entries, impl_->images->references.List());
  std::set<Digest> digests;
  for (const oci::Descriptor& entry : entries) digests.insert(entry.digest);
  info.images = digests.size();
  if (!kernel.user_namespaces) {
    info.warnings.emplace_back("no user namespaces: containers run with the host's ids");
  } else if (!kernel.idmapped_mounts) {
    info.warnings.emplace_back("no id-mapped mounts: containers run with the host's ids");
  }
  if (!kernel.seccomp) info.warnings.emplace_back("no seccomp: system calls are not filtered");
  const auto of_networks = impl_->network.Warnings();
  if (of_networks.ok()) {
    info.warnings.insert(info.warnings.end(), of_networks->begin(), of_networks->end());
  } else {
    info.warnings.push_back(core::StrCat("networks: ", of_networks.status().message()));
  }
  return info;
}

}  // namespace v1
}  // namespace minibox
