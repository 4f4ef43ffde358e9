// SPDX-License-Identifier: Apache-2.0
// Every field of the run request: what it changes, seen from inside, and what is refused.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int64_t kMiB = 1 << 20;

class Fields : public RuntimeTest {};

struct Row {
  const char* field;
  std::function<void(ContainerSpec&)> set;
  std::string script;
  std::string with;     // what the script writes, a POSIX regular expression
  std::string without;  // the same in a container without the field; "": not looked at
};

// A control file of the container's own group, of version 1 or 2.
std::string Control(const char* v1, const char* v2) {
  return std::string("cat /sys/fs/cgroup/") + v1 + " 2>/dev/null || cat /sys/fs/cgroup/" + v2;
}

// As a regular expression.
std::string HostNetwork() {
  const std::string link = std::filesystem::read_symlink("/proc/thread-self/ns/net").string();
  const size_t bracket = link.find('[');
  return link.substr(0, bracket) + "." + link.substr(bracket + 1, link.size() - bracket - 2) + ".";
}

TEST_F(Fields, EachHasItsEffect) {
  const std::string bind = root_ + "/bind";
  std::filesystem::create_directory(bind);
  std::ofstream(bind + "/file") << "shared\n";
  const std::string node = root_ + "/node";
  ASSERT_EQ(mknod(node.c_str(), S_IFCHR | 0666, makedev(10, 200)), 0);
  // Opening the node for reading and for writing; what the driver says is not of interest.
  const std::string opening =
      "for how in '<' '>'; do if sh -c \": $how /dev/mine\" 2>&1 | grep -q 'not permitted'; "
      "then echo -n refused; else echo -n passed; fi; done";
  const std::string denied =
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat","nonsense"],)"
      R"("action":"SCMP_ACT_ERRNO","errnoRet":95}]})";
  const Row rows[] = {
      {"entrypoint",
       [](ContainerSpec& s) { s.entrypoint = {"sh"}, s.command.erase(s.command.begin()); },
       "echo $0", "sh\n", ""},
      {"command",
       [](ContainerSpec& s) {
         s.entrypoint = {"echo", "a"};
         s.command = {"b c", "$HOME"};
       },
       "", "a b c \\$HOME\n", ""},
      {"memory", [](ContainerSpec& s) { s.resources.memory_bytes = 64 * kMiB; },
       Control("memory/memory.limit_in_bytes", "memory.max"), "67108864\n", "(9[0-9]+|max)\n"},
      {"memory_swap",
       [](ContainerSpec& s) {
         s.resources.memory_bytes = 64 * kMiB;
         s.resources.memory_swap_bytes = 96 * kMiB;
       },
       Control("memory/memory.memsw.limit_in_bytes", "memory.swap.max"), "(100663296|33554432)\n",
       ""},
      {"cpu", [](ContainerSpec& s) { s.resources.cpu_quota_us = 25000; },
       Control("cpu/cpu.cfs_quota_us", "cpu.max"), "25000( 100000)?\n", "((-1|max 100000)\n)?"},
      {"cpuset", [](ContainerSpec& s) { s.resources.cpuset = "0"; },
       "grep Cpus_allowed_list /proc/self/status", "Cpus_allowed_list:\t0\n", ""},
      {"pids_limit", [](ContainerSpec& s) { s.resources.pids = 33; },
       Control("pids/pids.max", "pids.max"), "33\n", "4096\n"},
      {"oom_score_adj", [](ContainerSpec& s) { s.resources.oom_score_adj = 321; },
       "cat /proc/self/oom_score_adj /proc/1/oom_score_adj", "321\n321\n", ""},
      {"ulimits",
       [](ContainerSpec& s) {
         s.ulimits = {{"nofile", "77:99"}, {"core", "0"}};
       },
       "ulimit -Sn; ulimit -Hn; ulimit -c", "77\n99\n0\n", "1024\n[0-9]+\n0\n"},
      {"sysctls",
       [](ContainerSpec& s) {
         s.sysctls = {{"net.ipv4.ip_default_ttl", "77"}};
       },
       "cat /proc/sys/net/ipv4/ip_default_ttl", "77\n", ""},
      {"env",
       [](ContainerSpec& s) {
         s.env = {"A=1", "A=2 x", "HOSTNAME"};
       },
       "echo \"$A/$HOSTNAME/$USER/$HOME\"", "2 x/[0-9a-f]+/(root|0)/.*\n", ""},
      {"volumes",
       [&](ContainerSpec& s) {
         s.mounts = {{Mount::Kind::kBind, bind, "/b", "ro"}};
       },
       "cat /b/file; touch /b/x 2>/dev/null || echo ro; stat -c %u /b/file", "shared\nro\n0\n", ""},
      {"named_volumes",
       [](ContainerSpec& s) {
         s.mounts = {{Mount::Kind::kVolume, "fields", "/v", "noexec"}};
       },
       "touch /v/x && grep ' /v ' /proc/self/mounts | grep -o noexec", "noexec\n", ""},
      {"tmpfs",
       [](ContainerSpec& s) {
         s.mounts = {{Mount::Kind::kTmpfs, "", "/t", "size=2m,mode=700,exec,uid=7"}};
       },
       "stat -c '%a %u' /t; df -k /t | tail -1 | awk '{print $2}'; "
       "grep ' /t ' /proc/self/mounts | grep -c noexec",
       "700 7\n2048\n0\n", ""},
      {"devices", [&](ContainerSpec& s) { s.devices = {node + ":/dev/mine:r"}; }, opening,
       "passedrefused", ""},
      {"devices (all)", [&](ContainerSpec& s) { s.devices = {node + ":/dev/mine"}; },
       opening + "; stat -c '%F %u' /dev/mine", "passedpassedcharacter special file 0\n", ""},
      {"shm_size", [](ContainerSpec& s) { s.shm_bytes = 3 * kMiB; },
       "df -k /dev/shm | tail -1 | awk '{print $2}'", "3072\n", "262144\n"},
      {"db_mode", [](ContainerSpec& s) { s.db_mode = true; },
       "cat /proc/1/oom_score_adj; grep CapBnd /proc/self/status; ulimit -Sn | grep -c 1024; "
       "grep ' /tmp ' /proc/self/mounts | cut -d' ' -f1",
       "(-900|0)\nCapBnd:\t000001[fe]+\n[01]\ntmpfs\n", "0\nCapBnd:\t00000000a80425fb\n1\n"},
      {"user", [](ContainerSpec& s) { s.user = "1234:5678"; },
       "id -u; id -g; grep CapEff /proc/self/status", "1234\n5678\nCapEff:\t0000000000000000\n",
       "0\n0\nCapEff:\t00000000a80425fb\n"},
      {"user by name", [](ContainerSpec& s) { s.user = "www"; }, "id -un; id -u; echo $HOME",
       "www\n[1-9][0-9]*\n/.*\n", "root\n0\n.*\n"},
      {"workdir", [](ContainerSpec& s) { s.working_dir = "/made/here"; }, "pwd; stat -c '%a %u' .",
       "/made/here\n755 0\n", "/\n.*"},
      {"hostname", [](ContainerSpec& s) { s.hostname = "h0st"; },
       "hostname; cat /etc/hostname; echo $HOSTNAME", "h0st\nh0st\nh0st\n", ""},
      {"name", [](ContainerSpec& s) { s.name = "named"; }, "hostname", "named\n", "[0-9a-f]{8}\n"},
      {"dns", [](ContainerSpec& s) { s.dns = {"192.0.2.53"}; }, "cat /etc/resolv.conf",
       "(.|\n)*nameserver 192.0.2.53(.|\n)*", ""},
      {"extra_hosts", [](ContainerSpec& s) { s.extra_hosts = {"other:192.0.2.7"}; },
       "grep other /etc/hosts", "192.0.2.7\tother\n", ""},
      {"network host", [](ContainerSpec& s) { s.network = "host"; }, "readlink /proc/self/ns/net",
       HostNetwork() + "\n", ""},
      {"network none", [](ContainerSpec& s) { s.network = "none"; },
       "ls /sys/class/net | grep -v lo | wc -l", "0\n", ""},
      {"init", [](ContainerSpec& s) { s.init = false; }, "echo $$", "1\n", "[2-9][0-9]*\n"},
      {"cap_add", [](ContainerSpec& s) { s.security.cap_add = {"NET_ADMIN"}; },
       "grep CapEff /proc/self/status", "CapEff:\t00000000a80435fb\n", ""},
      {"cap_drop", [](ContainerSpec& s) { s.security.cap_drop = {"ALL"}; },
       "grep -e CapEff -e CapBnd /proc/self/status",
       "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n", ""},
      {"seccomp unconfined",
       [](ContainerSpec& s) { s.security.seccomp = Security::Seccomp::kUnconfined; },
       "grep Seccomp: /proc/self/status", "Seccomp:\t0\n", "Seccomp:\t2\n"},
      {"seccomp profile",
       [&](ContainerSpec& s) {
         s.security.seccomp = Security::Seccomp::kProfile;
         s.security.seccomp_profile = denied;
       },
       "mkdir /d 2>&1 | grep -o 'not supported'; grep Seccomp: /proc/self/status",
       "not supported\nSeccomp:\t2\n", ""},
      {"privileged",
       [](ContainerSpec& s) { s.security.privileged = s.security.host_userns = true; },
       "grep -e NoNewPrivs -e Seccomp: /proc/self/status; awk '{print $3}' /proc/self/uid_map; "
       "touch /proc/sys/kernel/hostname && echo writable",
       "NoNewPrivs:\t0\nSeccomp:\t0\n4294967295\nwritable\n",
       "NoNewPrivs:\t1\nSeccomp:\t2\n65536\n"},
      {"read_only", [](ContainerSpec& s) { s.security.read_only_rootfs = true; },
       "touch /x 2>/dev/null || echo ro; touch /dev/shm/x && echo shm", "ro\nshm\n", "shm\n"},
      {"userns host", [](ContainerSpec& s) { s.security.host_userns = true; },
       "awk '{print $1, $2}' /proc/self/uid_map", "0 0\n", "0 [1-9][0-9]+\n"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.field);
    ContainerSpec spec = Shell(row.script + "; true");
    row.set(spec);
    EXPECT_THAT(RunShell(spec).out, MatchesRegex(row.with));
    if (row.without.empty()) continue;
    EXPECT_THAT(RunShell(Shell(row.script + "; true")).out, MatchesRegex(row.without));
  }
}

TEST_F(Fields, WhatIsOnlyOfTheRecord) {
  ContainerSpec spec = Shell("trap 'exit 9' USR1; echo ready; while :; do sleep 1000 & wait; done");
  spec.name = "named";
  spec.project = "shop";
  spec.labels = {{"a", "1"}, {"b", ""}};
  spec.stop_signal = "usr1";
  spec.stop_timeout = std::chrono::seconds(600);
  spec.restart = {RestartPolicy::Kind::kOnFailure, 3};
  spec.healthcheck = HealthCheck{{"CMD", "true"}, std::chrono::hours(1), {}, {}, 7};
  spec.log_max_bytes = 5 * kMiB;
  spec.log_max_files = 2;
  const ContainerInfo info = Start(spec);
  EXPECT_EQ(info.name, "named");
  EXPECT_EQ(info.project, "shop");
  EXPECT_EQ(info.labels, spec.labels);
  EXPECT_EQ(info.restart, spec.restart);
  EXPECT_EQ(info.health, Health::kStarting);
  AwaitLog(info.id, "ready");
  const auto details = runtime().InspectDetails(info.id);
  ASSERT_TRUE(details.ok());
  EXPECT_EQ(details->config.healthcheck->retries, 7);
  EXPECT_EQ(details->config.stop_timeout, spec.stop_timeout);
  EXPECT_EQ(details->config.log_max_bytes, spec.log_max_bytes);
  EXPECT_EQ(details->config.log_max_files, 2);
  // The same name may be taken again, but not where it shall be the only one.
  ContainerSpec second = Shell("exit 0");
  second.name = "named";
  EXPECT_TRUE(runtime().Create(second).ok());
  second.unique_name = true;
  const auto held = runtime().Create(second);
  EXPECT_EQ(held.status().reason(), "name_in_use");
  EXPECT_EQ(held.status().field(), "name");
  EXPECT_EQ(*runtime().Stop(info.id), StopResult::kStopped);
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 9);
  ContainerSpec gone = Shell("exit 0");
  gone.remove_on_exit = true;
  const auto run = runtime().Run(gone);
  ASSERT_TRUE(run.ok());
  EXPECT_TRUE(runtime().WaitFor(run->id, {.condition = WaitCondition::kRemoved}).ok());
}

TEST_F(Fields, TimeLimitOfTheRun) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.timeout = milliseconds(100);
  const Output output = RunShell(spec, 137);
  EXPECT_EQ(output.exit.error, "timeout");
}

TEST_F(Fields, UnknownCallsOfAProfileAreAWarning) {
  ContainerSpec spec = Shell("exit 0");
  spec.security.seccomp = Security::Seccomp::kProfile;
  spec.security.seccomp_profile =
      R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"nonsense","action":"SCMP_ACT_KILL"}]})";
  const ContainerInfo info = Start(spec);
  EXPECT_THAT(info.warnings, ::testing::Contains(HasSubstr("'nonsense'")));
}

TEST_F(Fields, AbsentDevicesFailTheStartAndLeaveNothing) {
  const std::string file = scratch_.Write("plain", "x");
  for (const auto& [entry, why] : {std::pair(std::string("/dev/no-such-device"), "No such file"),
                                   std::pair(file + ":/dev/x", "is not a device"),
                                   std::pair(root_ + ":/dev/x", "has no device")}) {
    ContainerSpec spec = Shell("exit 0");
    spec.devices = {entry};
    const auto info = runtime().Run(spec);
    ASSERT_FALSE(info.ok()) << entry;
    EXPECT_EQ(info.status().code(), StatusCode::kInvalidArgument) << info.status().ToString();
    EXPECT_EQ(info.status().field(), "devices[0]");
    EXPECT_THAT(info.status().message(), HasSubstr(why));
  }
  EXPECT_TRUE(runtime().List()->empty());
}

TEST_F(Fields, WhatIsRefusedNamesTheField) {
  using Kind = RestartPolicy::Kind;
  struct Refused {
    std::string field;
    std::function<void(ContainerSpec&)> set;
  };
  const Refused rows[] = {
      {"restart",
       [](ContainerSpec& s) {
         s.restart = {Kind::kAlways, 0}, s.remove_on_exit = true;
       }},
      {"publish_all", [](ContainerSpec& s) { s.publish_all = true; }},
      {"publish_all", [](ContainerSpec& s) { s.publish_all = true, s.network = "host"; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {""}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"dev/null"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/etc/null"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/dev"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/dev/x:rwx"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/dev/x:rr"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/dev/x:"}; }},
      {"devices[0]", [](ContainerSpec& s) { s.devices = {"/dev/null:/dev/x:r:w"}; }},
      {"devices[1]",
       [](ContainerSpec& s) {
         s.devices = {"/dev/null", "/dev/zero:/dev/null"};
       }},
      {"devices",
       [](ContainerSpec& s) {
         s.devices = {"/dev/null:/dev/x"};
         s.mounts = {{Mount::Kind::kTmpfs, "", "/dev/x", ""}};
       }},
      {"log_max_files", [](ContainerSpec& s) { s.log_max_files = 0; }},
      {"log_max_files", [](ContainerSpec& s) { s.log_max_files = 101; }},
      {"healthcheck.test",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"CMD"}, {}, {}, {}, {}};
       }},
      {"healthcheck.test",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"CMD-SHELL", "a", "b"}, {}, {}, {}, {}};
       }},
      {"healthcheck.test",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"NONE", "x"}, {}, {}, {}, {}};
       }},
      {"healthcheck.interval",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"x"}, milliseconds(0), {}, {}, {}};
       }},
      {"healthcheck.timeout",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"x"}, {}, std::chrono::hours(25), {}, {}};
       }},
      {"healthcheck.start_period",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"x"}, {}, {}, milliseconds(-1), {}};
       }},
      {"healthcheck.retries",
       [](ContainerSpec& s) {
         s.healthcheck = HealthCheck{{"x"}, {}, {}, {}, 0};
       }},
      {"seccomp.defaultAction",
       [](ContainerSpec& s) {
         s.security.seccomp = Security::Seccomp::kProfile;
         s.security.seccomp_profile = "{}";
       }},
      {"cap_add[0]", [](ContainerSpec& s) { s.security.cap_add = {"FLY"}; }},
      {"memory", [](ContainerSpec& s) { s.resources.memory_bytes = 1; }},
      {"memory_swap", [](ContainerSpec& s) { s.resources.memory_swap_bytes = 64 * kMiB; }},
      {"cpu", [](ContainerSpec& s) { s.resources.cpu_quota_us = 1; }},
      {"cpuset", [](ContainerSpec& s) { s.resources.cpuset = "4095"; }},
      {"pids_limit", [](ContainerSpec& s) { s.resources.pids = 0; }},
      {"io_weight", [](ContainerSpec& s) { s.resources.io_weight = 1001; }},
      {"oom_score_adj", [](ContainerSpec& s) { s.resources.oom_score_adj = 1001; }},
      {"ulimits[\"nofile\"]",
       [](ContainerSpec& s) {
         s.ulimits = {{"nofile", "2:1"}};
       }},
      {"ulimits[\"none\"]",
       [](ContainerSpec& s) {
         s.ulimits = {{"none", "1"}};
       }},
      {"sysctls[\"kernel.panic\"]",
       [](ContainerSpec& s) {
         s.sysctls = {{"kernel.panic", "1"}};
       }},
      {"shm_size", [](ContainerSpec& s) { s.shm_bytes = 5; }},
      {"stop_signal", [](ContainerSpec& s) { s.stop_signal = "SIGNOT"; }},
      {"stop_timeout", [](ContainerSpec& s) { s.stop_timeout = std::chrono::seconds(601); }},
      {"timeout", [](ContainerSpec& s) { s.timeout = milliseconds(-1); }},
      {"user", [](ContainerSpec& s) { s.user = "a b"; }},
      {"workdir", [](ContainerSpec& s) { s.working_dir = "relative"; }},
      {"hostname", [](ContainerSpec& s) { s.hostname = "-x"; }},
      {"name", [](ContainerSpec& s) { s.name = "a/b"; }},
      {"project", [](ContainerSpec& s) { s.project = "-"; }},
      {"env[0]", [](ContainerSpec& s) { s.env = {"=x"}; }},
      {"dns[0]", [](ContainerSpec& s) { s.dns = {"resolver"}; }},
      {"extra_hosts[0]", [](ContainerSpec& s) { s.extra_hosts = {"x"}; }},
      {"labels[\"\"]",
       [](ContainerSpec& s) {
         s.labels = {{"", "x"}};
       }},
      {"tmpfs[\"/x\"]",
       [](ContainerSpec& s) {
         s.mounts = {{Mount::Kind::kTmpfs, "", "/x", "odd"}};
       }},
  };
  for (const Refused& row : rows) {
    ContainerSpec spec = Shell("exit 0");
    row.set(spec);
    const auto info = runtime().Create(spec);
    ASSERT_FALSE(info.ok()) << row.field;
    EXPECT_EQ(info.status().code(), StatusCode::kInvalidArgument) << info.status().ToString();
    EXPECT_EQ(info.status().field(), row.field) << info.status().ToString();
  }
  EXPECT_TRUE(runtime().List()->empty());
}

}  // namespace
}  // namespace minibox::testing
