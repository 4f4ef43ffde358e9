// SPDX-License-Identifier: Apache-2.0
#include "runtime/launch_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include <algorithm>

#include "kernel/capabilities.h"

namespace minibox::runtime {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Kind = init::MountOp::Kind;

ContainerId Id() { return *ContainerId::Parse("0a1b2c3d"); }

ContainerConfig Config() {
  ContainerConfig config;
  config.spec.image = "busybox";
  config.spec.entrypoint = {{"/bin/sh"}};
  config.spec.command = {"-c", "true"};
  config.spec.env = {"PATH=/bin", "HOSTNAME=h"};
  config.spec.working_dir = "/srv";
  config.spec.user = "www";
  config.spec.hostname = "h";
  return config;
}

LaunchPlan Plan(const ContainerConfig& config) {
  HostFacts host;
  host.thermal_paths = {"/sys/devices/system/cpu/cpu0/thermal_throttle"};
  host.nr_open = 4096;
  auto plan = PlanLaunch(config, Id(), {"extracted/base", "extracted/top"}, host);
  EXPECT_TRUE(plan.ok()) << plan.status().ToString();
  return std::move(*plan);
}

std::vector<std::string> Targets(const LaunchPlan& plan) {
  std::vector<std::string> targets;
  for (const auto& mount : plan.spec.mounts) targets.push_back(mount.target);
  return targets;
}

const init::MountOp& At(const LaunchPlan& plan, std::string_view target) {
  for (const auto& mount : plan.spec.mounts) {
    if (mount.target == target) return mount;
  }
  ADD_FAILURE() << "no mount at " << target;
  return plan.spec.mounts.front();
}

TEST(LaunchPlan, OfAPlainContainer) {
  LaunchPlan plan = Plan(Config());
  SetIdRange({200000, 1000, false}, plan);
  const init::LaunchSpec& spec = plan.spec;
  EXPECT_EQ(spec.id, "0a1b2c3d");
  EXPECT_EQ(spec.hostname, "h");
  EXPECT_TRUE(spec.user_namespace);
  EXPECT_EQ(spec.id_base, 200000u);
  EXPECT_EQ(spec.id_count, 1000u);
  EXPECT_EQ(spec.net, init::LaunchSpec::Net::kNew);
  EXPECT_THAT(spec.lowers, ElementsAre("extracted/top", "extracted/base"));
  EXPECT_EQ(spec.upper, "containers/0a1b2c3d/upper");
  EXPECT_EQ(spec.work, "containers/0a1b2c3d/work");
  EXPECT_FALSE(spec.read_only_root);
  EXPECT_THAT(Targets(plan),
              ElementsAre("/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts", "/dev/shm",
                          "/dev/mqueue", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"));
  EXPECT_THAT(spec.argv, ElementsAre("/bin/sh", "-c", "true"));
  EXPECT_THAT(spec.env, ElementsAre("PATH=/bin", "HOSTNAME=h"));
  EXPECT_EQ(spec.working_dir, "/srv");
  EXPECT_EQ(spec.user, "www");
  EXPECT_EQ(spec.capabilities, kernel::DefaultCapabilities());
  EXPECT_EQ(spec.ambient, 0u);
  EXPECT_TRUE(spec.no_new_privs);
  EXPECT_FALSE(spec.seccomp_program.empty());
  EXPECT_TRUE(spec.init);
  EXPECT_THAT(spec.masked_paths, Contains("/proc/kcore"));
  EXPECT_THAT(spec.masked_paths, Contains("/sys/devices/system/cpu/cpu0/thermal_throttle"));
  EXPECT_THAT(spec.read_only_paths, ElementsAre("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                                "/proc/sysrq-trigger"));
  EXPECT_THAT(spec.sysctls, Contains(Pair("net/ipv4/ip_unprivileged_port_start", "0")));
  EXPECT_THAT(spec.sysctls, Contains(Pair("net/ipv4/ping_group_range", "0 999")));
  EXPECT_EQ(spec.timeout_ms, 0u);
  EXPECT_TRUE(spec.log);
  EXPECT_TRUE(spec.record_exit);
}

TEST(LaunchPlan, KernelFileSystemsHaveTheFlagsOfTheTable) {
  constexpr uint64_t kAll = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  const LaunchPlan plan = Plan(Config());
  EXPECT_EQ(At(plan, "/proc").attributes, kAll);
  EXPECT_EQ(At(plan, "/sys").attributes, kAll | MOUNT_ATTR_RDONLY);
  EXPECT_EQ(At(plan, "/sys").kind, Kind::kSysfs);
  EXPECT_EQ(At(plan, "/sys/fs/cgroup").attributes, kAll | MOUNT_ATTR_RDONLY);
  EXPECT_EQ(At(plan, "/dev").attributes & (kAll | MOUNT_ATTR_RDONLY),
            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  EXPECT_EQ(At(plan, "/dev").data, "mode=755,size=65536k");
  EXPECT_EQ(At(plan, "/dev/pts").data, "newinstance,ptmxmode=0666,mode=0620,gid=5");
  EXPECT_EQ(At(plan, "/dev/shm").data, "mode=1777,size=256m");
}

TEST(LaunchPlan, LimitsComeFromTheRequestAndPidsHaveADefault) {
  ContainerConfig config = Config();
  LaunchPlan plan = Plan(config);
  EXPECT_EQ(plan.limits.pids, 4096);
  EXPECT_TRUE(plan.limits.pids_is_default);
  EXPECT_FALSE(plan.limits.memory_bytes.has_value());

  config.spec.resources.pids = 5;
  config.spec.resources.memory_bytes = 64 << 20;
  config.spec.resources.cpu_quota_us = 50000;
  config.spec.resources.oom_score_adj = -5;
  plan = Plan(config);
  EXPECT_EQ(plan.limits.pids, 5);
  EXPECT_FALSE(plan.limits.pids_is_default);
  EXPECT_EQ(plan.limits.memory_bytes, 64 << 20);
  EXPECT_EQ(plan.limits.cpu_quota_us, 50000);
  EXPECT_EQ(plan.spec.oom_score_adj, -5);
}

TEST(LaunchPlan, UlimitsReplaceDefaults) {
  ContainerConfig config = Config();
  config.spec.ulimits = {{"nofile", "10:20"}, {"stack", "-1"}};
  const auto limits = Plan(config).spec.rlimits;
  const auto find = [&](int resource) {
    return *std::find_if(limits.begin(), limits.end(),
                         [&](const auto& limit) { return limit.resource == resource; });
  };
  EXPECT_EQ(limits.size(), 4u);
  EXPECT_EQ(find(RLIMIT_NOFILE).hard, 20u);
  EXPECT_FALSE(find(RLIMIT_NOFILE).best_effort);
  EXPECT_TRUE(find(RLIMIT_CORE).best_effort);
  EXPECT_EQ(find(RLIMIT_CORE).hard, 0u);
  // Without a request: what the host allows at most.
  const auto defaults = Plan(Config()).spec.rlimits;
  EXPECT_EQ(defaults[1].soft, 1024u);
  EXPECT_EQ(defaults[1].hard, 4096u);
}

TEST(LaunchPlan, MountsOfTheUserReplaceDefaultsAndComeBeforeTheirChildren) {
  ContainerConfig config = Config();
  config.spec.mounts = {{Mount::Kind::kVolume, "deep", "/data/a/b", ""},
                        {Mount::Kind::kBind, "/srv/data", "/data", "ro"},
                        {Mount::Kind::kTmpfs, "", "/dev/shm", "size=1m"},
                        {Mount::Kind::kBind, "/dev", "/dev", "dev"},
                        {Mount::Kind::kBind, "/srv/hosts", "/etc/hosts", ""},
                        {Mount::Kind::kTmpfs, "", "/etc", ""}};
  const LaunchPlan plan = Plan(config);
  EXPECT_THAT(Targets(plan), ElementsAre("/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts",
                                         "/dev/mqueue", "/data", "/data/a/b", "/dev/shm", "/etc",
                                         "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"));
  const init::MountOp& data = At(plan, "/data");
  EXPECT_EQ(data.kind, Kind::kBind);
  EXPECT_TRUE(data.id_mapped);
  EXPECT_TRUE(data.recursive);
  EXPECT_FALSE(data.copy_up);
  EXPECT_EQ(data.attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY);
  EXPECT_EQ(plan.binds[static_cast<size_t>(data.fd_index)].name, "/srv/data");
  EXPECT_TRUE(plan.binds[static_cast<size_t>(data.fd_index)].create);
  const init::MountOp& deep = At(plan, "/data/a/b");
  EXPECT_TRUE(deep.copy_up);
  EXPECT_EQ(plan.binds[static_cast<size_t>(deep.fd_index)].kind, BindSource::Kind::kVolume);
  EXPECT_EQ(At(plan, "/dev").attributes, MOUNT_ATTR_NOSUID);
}

TEST(LaunchPlan, GeneratedFilesFollowTheRootsMode) {
  ContainerConfig config = Config();
  EXPECT_EQ(At(Plan(config), "/etc/hosts").attributes & MOUNT_ATTR_RDONLY, 0u);
  config.spec.security.read_only_rootfs = true;
  const LaunchPlan plan = Plan(config);
  EXPECT_TRUE(plan.spec.read_only_root);
  EXPECT_NE(At(plan, "/etc/hosts").attributes & MOUNT_ATTR_RDONLY, 0u);
}

TEST(LaunchPlan, HostNetworkHasTheHostsSysfsAndNoSysctls) {
  ContainerConfig config = Config();
  config.spec.network = "host";
  LaunchPlan plan = Plan(config);
  SetIdRange({100000, 65536, false}, plan);
  EXPECT_EQ(plan.spec.net, init::LaunchSpec::Net::kHost);
  const init::MountOp& sys = At(plan, "/sys");
  EXPECT_EQ(sys.kind, Kind::kBind);
  EXPECT_TRUE(sys.recursive);
  EXPECT_FALSE(sys.id_mapped);
  EXPECT_EQ(plan.binds[static_cast<size_t>(sys.fd_index)].name, "/sys");
  EXPECT_FALSE(plan.binds[static_cast<size_t>(sys.fd_index)].checked);
  EXPECT_THAT(plan.spec.sysctls, IsEmpty());
}

TEST(LaunchPlan, HostIdsMapNothing) {
  ContainerConfig config = Config();
  config.spec.mounts = {{Mount::Kind::kVolume, "v", "/v", ""}};
  LaunchPlan plan = Plan(config);
  EXPECT_EQ(SetHostIds(config.spec.security, HostFacts(), plan).size(), 1u);
  EXPECT_EQ(plan.spec.capabilities,
            kernel::DefaultCapabilities() & ~(uint64_t{1} << *kernel::ParseCapability("MKNOD")));
  EXPECT_FALSE(plan.spec.user_namespace);
  for (const auto& mount : plan.spec.mounts) EXPECT_FALSE(mount.id_mapped) << mount.target;
  EXPECT_THAT(plan.spec.sysctls, Contains(Pair("net/ipv4/ping_group_range", "0 2147483647")));
}

TEST(LaunchPlan, SysctlsOfTheUserWinOverDefaults) {
  ContainerConfig config = Config();
  config.spec.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"},
                         {"kernel.shmmax", "5"},
                         {"net.ipv6.conf.default.disable_ipv6", "0"}};
  LaunchPlan plan = Plan(config);
  SetHostIds(config.spec.security, HostFacts(), plan);
  EXPECT_THAT(plan.spec.sysctls, Contains(Pair("net/ipv4/ip_unprivileged_port_start", "80")));
  EXPECT_THAT(plan.spec.sysctls, Contains(Pair("kernel/shmmax", "5")));
  EXPECT_THAT(plan.spec.sysctls, Contains(Pair("net/ipv6/conf/default/disable_ipv6", "0")));
  EXPECT_EQ(plan.spec.sysctls.size(), 4u);
}

TEST(LaunchPlan, AddedCapabilitiesAreAmbientForOtherUsers) {
  ContainerConfig config = Config();
  config.spec.security.cap_add = {"NET_ADMIN"};
  config.spec.security.cap_drop = {"ALL"};
  const LaunchPlan plan = Plan(config);
  const uint64_t net_admin = uint64_t{1} << *kernel::ParseCapability("NET_ADMIN");
  EXPECT_EQ(plan.spec.capabilities, net_admin);
  EXPECT_EQ(plan.spec.ambient, net_admin);
}

TEST(LaunchPlan, PrivilegedHidesNothing) {
  ContainerConfig config = Config();
  config.spec.security.privileged = true;
  const LaunchPlan plan = Plan(config);
  EXPECT_EQ(plan.spec.capabilities, kernel::AllCapabilities());
  EXPECT_TRUE(plan.spec.seccomp_program.empty());
  EXPECT_FALSE(plan.spec.no_new_privs);
  EXPECT_THAT(plan.spec.masked_paths, IsEmpty());
  EXPECT_THAT(plan.spec.read_only_paths, IsEmpty());
  EXPECT_EQ(At(plan, "/sys/fs/cgroup").attributes & MOUNT_ATTR_RDONLY, 0u);
}

TEST(LaunchPlan, PrivilegedHasTheHostsDevicesAndMayMakeMore) {
  ContainerConfig config = Config();
  config.spec.security.privileged = true;
  HostFacts host;
  host.devices = {"/dev/loop0", "/dev/net/tun"};
  auto plan = PlanLaunch(config, Id(), {"extracted/base"}, host);
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(SetHostIds(config.spec.security, HostFacts(), *plan), IsEmpty());
  EXPECT_EQ(plan->spec.capabilities, kernel::AllCapabilities());
  const init::MountOp& tun = At(*plan, "/dev/net/tun");
  EXPECT_EQ(tun.attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  EXPECT_EQ(plan->binds[static_cast<size_t>(tun.fd_index)].name, "/dev/net/tun");
}

TEST(LaunchPlan, PrivilegedHasNoMoreThanTheEngine) {
  ContainerConfig config = Config();
  config.spec.security.privileged = true;
  HostFacts host;
  host.capabilities = kernel::DefaultCapabilities();
  LaunchPlan plan = Plan(config);
  EXPECT_EQ(SetHostIds(config.spec.security, host, plan).size(), 1u);
  EXPECT_EQ(plan.spec.capabilities, kernel::DefaultCapabilities());
}

TEST(LaunchPlan, MknodStaysWhereDevicesAreFiltered) {
  HostFacts host;
  host.filters_devices = true;
  ContainerConfig config = Config();
  LaunchPlan plan = Plan(config);
  EXPECT_THAT(SetHostIds(config.spec.security, host, plan), IsEmpty());
  EXPECT_EQ(plan.spec.capabilities, kernel::DefaultCapabilities());
}

TEST(LaunchPlan, DatabaseModeIsWhatTheRequestLeavesOpen) {
  ContainerConfig config = Config();
  config.spec.db_mode = true;
  LaunchPlan plan = Plan(config);
  EXPECT_EQ(plan.spec.capabilities, kernel::AllCapabilities());
  EXPECT_EQ(plan.spec.oom_score_adj, -900);
  EXPECT_EQ(plan.limits.io_weight, 800);
  EXPECT_TRUE(plan.limits.io_weight_is_default);
  EXPECT_EQ(At(plan, "/tmp").data, "mode=1777");
  EXPECT_EQ(At(plan, "/tmp").attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  for (const init::Rlimit& limit : plan.spec.rlimits) {
    if (limit.resource == RLIMIT_NOFILE) {
      EXPECT_EQ(limit.soft, limit.hard);
    }
  }
  // The filter opens no more than without it.
  ContainerConfig usual = Config();
  EXPECT_EQ(plan.spec.seccomp_program, Plan(usual).spec.seccomp_program);
  // With the host's ids the capabilities are not the container's alone.
  HostFacts host;
  host.filters_devices = true;
  EXPECT_EQ(SetHostIds(config.spec.security, host, plan, /*db_mode=*/true).size(), 1u);
  EXPECT_EQ(plan.spec.capabilities, kernel::DefaultCapabilities());

  config.spec.resources.io_weight = 5;
  config.spec.resources.oom_score_adj = 0;
  config.spec.ulimits = {{"nofile", "10:20"}};
  config.spec.mounts = {{Mount::Kind::kVolume, "v", "/tmp", ""}};
  plan = Plan(config);
  EXPECT_EQ(plan.limits.io_weight, 5);
  EXPECT_FALSE(plan.limits.io_weight_is_default);
  EXPECT_EQ(plan.spec.oom_score_adj, 0);
  EXPECT_EQ(At(plan, "/tmp").kind, init::MountOp::Kind::kBind);
  for (const init::Rlimit& limit : plan.spec.rlimits) {
    if (limit.resource == RLIMIT_NOFILE) {
      EXPECT_EQ(limit.soft, 10u);
    }
  }
}

TEST(LaunchPlan, AskedForMknodStaysWithTheHostsIds) {
  ContainerConfig config = Config();
  config.spec.security.cap_add = {"cap_mknod"};
  LaunchPlan plan = Plan(config);
  EXPECT_THAT(SetHostIds(config.spec.security, HostFacts(), plan), IsEmpty());
  EXPECT_EQ(plan.spec.capabilities, kernel::DefaultCapabilities());
}

TEST(LaunchPlan, UnconfinedSeccompKeepsTheRest) {
  ContainerConfig config = Config();
  config.spec.security.seccomp = Security::Seccomp::kUnconfined;
  const LaunchPlan plan = Plan(config);
  EXPECT_TRUE(plan.spec.seccomp_program.empty());
  EXPECT_TRUE(plan.spec.no_new_privs);
  EXPECT_FALSE(plan.spec.masked_paths.empty());
}

TEST(LaunchPlan, AnImageWithoutLayersGetsAnEmptyOne) {
  const auto plan = PlanLaunch(Config(), Id(), {}, HostFacts());
  ASSERT_TRUE(plan.ok());
  EXPECT_THAT(plan->spec.lowers, ElementsAre("containers/0a1b2c3d/rootfs"));
}

}  // namespace
}  // namespace minibox::runtime
