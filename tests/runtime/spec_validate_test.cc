// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec_validate.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "support/scratch.h"

namespace minibox::runtime {
namespace {

constexpr int64_t kMiB = 1 << 20;

ContainerSpec Valid() {
  ContainerSpec spec;
  spec.image = "busybox";
  return spec;
}

HostFacts Host() {
  HostFacts host;
  host.data_root = "/nonexistent/data";
  host.run_dir = "/nonexistent/run";
  host.online_cpus = "0-3";
  return host;
}

struct Case {
  const char* field;  // at fault; nullptr: valid
  std::function<void(ContainerSpec&)> change;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << (c.field == nullptr ? "valid" : c.field);
}

class SpecValidate : public ::testing::TestWithParam<Case> {};

TEST_P(SpecValidate, NamesTheFieldAtFault) {
  ContainerSpec spec = Valid();
  GetParam().change(spec);
  const Status status = ValidateSpec(spec, Host());
  if (GetParam().field == nullptr) {
    EXPECT_TRUE(status.ok()) << status.ToString();
    return;
  }
  EXPECT_EQ(status.field(), GetParam().field) << status.ToString();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_FALSE(status.reason().empty());
}

using Spec = ContainerSpec;
using Kind = Mount::Kind;
using Protocol = PortMapping::Protocol;

INSTANTIATE_TEST_SUITE_P(
    Names, SpecValidate,
    ::testing::Values(Case{nullptr, [](Spec&) {}}, Case{"image", [](Spec& s) { s.image = ""; }},
                      Case{nullptr, [](Spec& s) { s.name = "a_b.c-9"; }},
                      Case{nullptr, [](Spec& s) { s.name = std::string(128, 'a'); }},
                      Case{"name", [](Spec& s) { s.name = std::string(129, 'a'); }},
                      Case{"name", [](Spec& s) { s.name = "-a"; }},
                      Case{"name", [](Spec& s) { s.name = "a/b"; }},
                      Case{"project", [](Spec& s) { s.project = std::string(65, 'a'); }},
                      Case{nullptr, [](Spec& s) { s.hostname = "my.host-1"; }},
                      Case{"hostname", [](Spec& s) { s.hostname = std::string(64, 'a'); }},
                      Case{"hostname", [](Spec& s) { s.hostname = "_a"; }}));

INSTANTIATE_TEST_SUITE_P(
    Process, SpecValidate,
    ::testing::Values(
        Case{nullptr,
             [](Spec& s) {
               s.command = {"sh", "-c", "line\nline\t\x01"};
             }},
        Case{"command[1]",
             [](Spec& s) {
               s.command = {"a", std::string("b\0c", 3)};
             }},
        Case{"command[0]", [](Spec& s) { s.command = {std::string(131072, 'a')}; }},
        Case{"command", [](Spec& s) { s.command.assign(65537, "a"); }},
        Case{"entrypoint[0]", [](Spec& s) { s.entrypoint = {{"\xff"}}; }},
        Case{nullptr,
             [](Spec& s) {
               s.env = {"A=", "B", "C=x=y\n"};
             }},
        Case{"env[1]",
             [](Spec& s) {
               s.env = {"A=1", "=1"};
             }},
        Case{"env[0]", [](Spec& s) { s.env = {""}; }},
        Case{"env[0]", [](Spec& s) { s.env = {"A\n=1"}; }},
        Case{"env[0]", [](Spec& s) { s.env = {"A=" + std::string(131072, 'a')}; }},
        Case{"env", [](Spec& s) { s.env.assign(10, "A=" + std::string(120000, 'a')); }},
        Case{nullptr, [](Spec& s) { s.working_dir = "/"; }},
        Case{"workdir", [](Spec& s) { s.working_dir = "srv"; }},
        Case{nullptr, [](Spec& s) { s.user = "www-data:4294967294"; }},
        Case{nullptr, [](Spec& s) { s.user = "0"; }},
        Case{"user", [](Spec& s) { s.user = "4294967295"; }},
        Case{"user", [](Spec& s) { s.user = ":0"; }}, Case{"user", [](Spec& s) { s.user = "a:"; }},
        Case{"user", [](Spec& s) { s.user = std::string(33, 'a'); }},
        Case{"user", [](Spec& s) { s.user = "a b"; }},
        Case{nullptr, [](Spec& s) { s.stop_signal = "rtmin+3"; }},
        Case{"stop_signal", [](Spec& s) { s.stop_signal = "SIGNOPE"; }},
        Case{nullptr, [](Spec& s) { s.stop_timeout = std::chrono::seconds(0); }},
        Case{"stop_timeout", [](Spec& s) { s.stop_timeout = std::chrono::seconds(601); }},
        Case{"timeout", [](Spec& s) { s.timeout = std::chrono::milliseconds(-1); }}));

INSTANTIATE_TEST_SUITE_P(
    Mounts, SpecValidate,
    ::testing::Values(
        Case{nullptr,
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv/x", "/x", "ro,rslave"}};
             }},
        Case{nullptr,
             [](Spec& s) {
               s.mounts = {{Kind::kVolume, "v", "/a", ""}, {Kind::kVolume, "", "/b", "nocopy"}};
             }},
        Case{"volumes[\"/srv/x\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv/x", "/x", "nocopy"}};
             }},
        Case{"volumes[\"srv\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "srv", "/x", ""}};
             }},
        Case{"volumes[\"/srv\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv", "/", ""}};
             }},
        Case{"volumes[\"/srv\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv", "/a/../..", ""}};
             }},
        Case{"volumes[\"/srv\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv", "x", ""}};
             }},
        Case{"volumes[\"/srv\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/srv", "/a:b", ""}};
             }},
        Case{"named_volumes[\"v\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kVolume, "v", "/sys/x", ""}};
             }},
        Case{"tmpfs[\"/a/../proc\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kTmpfs, "", "/a/../proc", ""}};
             }},
        Case{nullptr,
             [](Spec& s) {
               s.security.privileged = true;
               s.mounts = {{Kind::kTmpfs, "", "/sys/x", ""}};
             }},
        Case{"named_volumes[\"../v\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kVolume, "../v", "/x", ""}};
             }},
        Case{"named_volumes[\"v\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kTmpfs, "", "/x/", ""}, {Kind::kVolume, "v", "/x", ""}};
             }},
        Case{nullptr,
             [](Spec& s) {
               s.mounts = {{Kind::kTmpfs, "", "/x", "size=64m,mode=0700,uid=5,gid=6,exec"}};
             }},
        Case{"tmpfs[\"/x\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kTmpfs, "", "/x", "size=0"}};
             }},
        Case{"tmpfs[\"/x\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kTmpfs, "", "/x", "mode=9"}};
             }},
        Case{"volumes[\"/nonexistent/data\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/nonexistent/data", "/x", ""}};
             }},
        Case{"volumes[\"/nonexistent/data/blobs/x\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/nonexistent/data/blobs/x", "/x", ""}};
             }},
        Case{"volumes[\"/nonexistent/run/x\"]",
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/nonexistent/run/x", "/x", ""}};
             }},
        Case{nullptr,
             [](Spec& s) {
               s.mounts = {{Kind::kBind, "/nonexistent/data/volumes/v", "/x", ""}};
             }},
        Case{nullptr, [](Spec& s) {
               s.mounts = {{Kind::kBind, "/nonexistent/database", "/x", ""}};
             }}));

INSTANTIATE_TEST_SUITE_P(
    Network, SpecValidate,
    ::testing::Values(Case{nullptr,
                           [](Spec& s) {
                             s.ports = {{"", 0, 80}, {"", 0, 81}, {"::1", 80, 80}};
                           }},
                      Case{nullptr,
                           [](Spec& s) {
                             s.ports = {{"", 53, 53, Protocol::kTcp}, {"", 53, 53, Protocol::kUdp}};
                           }},
                      Case{"ports[\"8080\"]",
                           [](Spec& s) {
                             s.ports = {{"", 8080, 0}};
                           }},
                      Case{"ports[\"0.0.0.0:80\"]",
                           [](Spec& s) {
                             s.ports = {{"", 80, 80}, {"0.0.0.0", 80, 81}};
                           }},
                      Case{"ports[\"x:80\"]",
                           [](Spec& s) {
                             s.ports = {{"x", 80, 80}};
                           }},
                      Case{"ports[\"80\"]",
                           [](Spec& s) {
                             s.network = "none";
                             s.ports = {{"", 80, 80}};
                           }},
                      Case{"network", [](Spec& s) { s.network = "container:"; }},
                      Case{"network", [](Spec& s) { s.network = "a b"; }},
                      Case{nullptr,
                           [](Spec& s) {
                             s.dns = {"1.1.1.1", "fe80::1"};
                           }},
                      Case{"dns[1]",
                           [](Spec& s) {
                             s.dns = {"1.1.1.1", "x"};
                           }},
                      Case{nullptr,
                           [](Spec& s) {
                             s.extra_hosts = {"a:1.2.3.4", "b:::1", "c:[::1]"};
                           }},
                      Case{"extra_hosts[0]", [](Spec& s) { s.extra_hosts = {"a"}; }},
                      Case{"extra_hosts[0]", [](Spec& s) { s.extra_hosts = {"a b:1.2.3.4"}; }},
                      Case{"extra_hosts[0]", [](Spec& s) { s.extra_hosts = {"a\n:1.2.3.4"}; }},
                      Case{"extra_hosts[0]",
                           [](Spec& s) {
                             s.network = "none";
                             s.extra_hosts = {"a:host-gateway"};
                           }},
                      Case{nullptr,
                           [](Spec& s) {
                             s.sysctls = {{"net.core.somaxconn", "1024"}};
                           }},
                      Case{nullptr,
                           [](Spec& s) {
                             s.sysctls = {{"kernel/shmmax", "1"}};
                           }},
                      Case{"sysctls[\"kernel.panic\"]",
                           [](Spec& s) {
                             s.sysctls = {{"kernel.panic", "1"}};
                           }},
                      Case{"sysctls[\"net/../kernel/panic\"]",
                           [](Spec& s) {
                             s.sysctls = {{"net/../kernel/panic", "1"}};
                           }},
                      Case{"sysctls[\"net.ipv4.ip_forward\"]", [](Spec& s) {
                             s.network = "host";
                             s.sysctls = {{"net.ipv4.ip_forward", "1"}};
                           }}));

INSTANTIATE_TEST_SUITE_P(
    Limits, SpecValidate,
    ::testing::Values(
        Case{nullptr, [](Spec& s) { s.resources.memory_bytes = kMiB; }},
        Case{"memory", [](Spec& s) { s.resources.memory_bytes = kMiB - 1; }},
        Case{"memory", [](Spec& s) { s.resources.memory_bytes = 16777217 * kMiB; }},
        Case{"memory_swap", [](Spec& s) { s.resources.memory_swap_bytes = kMiB; }},
        Case{nullptr, [](Spec& s) { s.resources.memory_swap_bytes = -1; }},
        Case{"memory_swap",
             [](Spec& s) {
               s.resources.memory_bytes = 2 * kMiB;
               s.resources.memory_swap_bytes = kMiB;
             }},
        Case{nullptr, [](Spec& s) { s.resources.cpu_quota_us = 1000; }},
        Case{"cpu", [](Spec& s) { s.resources.cpu_quota_us = 999; }},
        Case{"cpu", [](Spec& s) { s.resources.cpu_quota_us = 102400001; }},
        Case{nullptr, [](Spec& s) { s.resources.cpuset = "0,2-3"; }},
        Case{"cpuset", [](Spec& s) { s.resources.cpuset = "0-4"; }},
        Case{"cpuset", [](Spec& s) { s.resources.cpuset = "3-0"; }},
        Case{"cpuset", [](Spec& s) { s.resources.cpuset = "a"; }},
        Case{nullptr, [](Spec& s) { s.resources.pids = -1; }},
        Case{"pids_limit", [](Spec& s) { s.resources.pids = 0; }},
        Case{"io_weight", [](Spec& s) { s.resources.io_weight = 1001; }},
        Case{"oom_score_adj", [](Spec& s) { s.resources.oom_score_adj = -1001; }},
        Case{"shm_size", [](Spec& s) { s.shm_bytes = 0; }},
        Case{nullptr,
             [](Spec& s) {
               s.ulimits = {{"nofile", "10:20"}, {"core", "-1"}};
             }},
        Case{"ulimits[\"nofile\"]",
             [](Spec& s) {
               s.ulimits = {{"nofile", "20:10"}};
             }},
        Case{"ulimits[\"nofile\"]",
             [](Spec& s) {
               s.ulimits = {{"nofile", "-1:10"}};
             }},
        Case{"ulimits[\"nofile\"]",
             [](Spec& s) {
               s.ulimits = {{"nofile", "x"}};
             }},
        Case{"ulimits[\"files\"]",
             [](Spec& s) {
               s.ulimits = {{"files", "1"}};
             }},
        Case{nullptr, [](Spec& s) { s.security.cap_add = {"net_admin", "ALL"}; }},
        Case{
            "cap_add[1]",
            [](Spec& s) {
              s.security.cap_add = {"CHOWN", "CAP_NOPE"};
            }},
        Case{"cap_drop[0]", [](Spec& s) { s.security.cap_drop = {"x"}; }}));

INSTANTIATE_TEST_SUITE_P(Labels, SpecValidate,
                         ::testing::Values(Case{nullptr,
                                                [](Spec& s) {
                                                  s.labels = {{"a.b/c", ""}};
                                                }},
                                           Case{"labels[\"\"]",
                                                [](Spec& s) {
                                                  s.labels = {{"", "x"}};
                                                }},
                                           Case{"labels[\"a\"]",
                                                [](Spec& s) {
                                                  s.labels = {{"a", "x\ny"}};
                                                }},
                                           Case{"labels[\"a\"]",
                                                [](Spec& s) {
                                                  s.labels = {{"a", std::string(65537, 'x')}};
                                                }},
                                           Case{"labels", [](Spec& s) {
                                                  for (int i = 0; i < 1001; ++i)
                                                    s.labels[std::to_string(i)] = "";
                                                }}));

TEST(SpecValidate, NetworksMayBeSeveralButNotOfEveryKind) {
  ContainerSpec spec = Valid();
  spec.network = "backend,front";
  spec.ip = "10.0.0.2";
  EXPECT_TRUE(ValidateSpec(spec, Host()).ok());
  for (const char* bad : {"backend,none", "host,backend", "backend,", "backend,container"}) {
    spec.network = bad;
    EXPECT_EQ(ValidateSpec(spec, Host()).field(), "network") << bad;
  }
  for (const char* without : {"none", "host"}) {
    spec.network = without;
    EXPECT_EQ(ValidateSpec(spec, Host()).field(), "ip") << without;
    ContainerSpec mac = Valid();
    mac.network = without;
    mac.mac = "02:00:00:00:00:01";
    EXPECT_EQ(ValidateSpec(mac, Host()).field(), "mac") << without;
  }
}

TEST(HostPath, LinksAreResolvedBeforeThePrefixesAreCompared) {
  const minibox::testing::Scratch scratch;
  HostFacts host = Host();
  char real[4096];
  ASSERT_NE(realpath(scratch.path().c_str(), real), nullptr);
  const std::string base = real;
  host.data_root = base + "/data";
  host.bind_prefixes = {base + "/allowed"};
  for (const char* name : {"/allowed", "/other", "/data"}) mkdir((base + name).c_str(), 0755);
  ASSERT_EQ(symlink((base + "/other").c_str(), (base + "/allowed/out").c_str()), 0);
  ASSERT_EQ(symlink((base + "/data").c_str(), (base + "/allowed/data").c_str()), 0);
  ASSERT_EQ(symlink((base + "/allowed").c_str(), (base + "/in").c_str()), 0);

  EXPECT_EQ(*ResolveHostPath(base + "/in/not/there", host, "f"), base + "/allowed/not/there");
  for (const char* refused : {"/allowed/out", "/allowed/data", "/allowed-not", "/in/../other"}) {
    const auto status = ResolveHostPath(base + refused, host, "f").status();
    EXPECT_EQ(status.reason(), "path_not_allowed") << refused;
    EXPECT_EQ(status.field(), "f");
  }
}

TEST(SysctlKey, TakesDotsOrSlashes) {
  EXPECT_EQ(ParseSysctlKey("net.ipv4.conf.eth0/1.rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
  EXPECT_EQ(ParseSysctlKey("net/ipv4/conf/eth0.1/rp_filter"), "net/ipv4/conf/eth0.1/rp_filter");
  EXPECT_EQ(ParseSysctlKey("net..x"), std::nullopt);
  EXPECT_EQ(ParseSysctlKey("net"), std::nullopt);
}

TEST(Ulimit, MinusOneIsUnlimited) {
  const auto limit = ParseUlimit("nproc", "5:-1");
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(limit->resource, RLIMIT_NPROC);
  EXPECT_EQ(limit->soft, 5u);
  EXPECT_EQ(limit->hard, std::numeric_limits<uint64_t>::max());
  EXPECT_FALSE(limit->best_effort);
}

TEST(PortKey, IsTheHostPartOfTheRequest) {
  EXPECT_EQ(PortKey({"", 80, 1}), "80");
  EXPECT_EQ(PortKey({"1.2.3.4", 53, 1, Protocol::kUdp}), "1.2.3.4:53/udp");
  EXPECT_EQ(PortKey({"::1", 80, 1}), "[::1]:80");
}

}  // namespace
}  // namespace minibox::runtime
