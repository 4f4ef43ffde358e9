// SPDX-License-Identifier: Apache-2.0
// What a workload sees and may do.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "launch_fixture.h"

namespace minibox::init {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

class LaunchIsolation : public LaunchTest {};

std::string HostNamespace(const char* name) {
  return std::filesystem::read_symlink(std::string("/proc/self/ns/") + name);
}

TEST_F(LaunchIsolation, NamespacesAreAllItsOwn) {
  const std::string links = OutputOf(
      Script("for n in user mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done"));
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    EXPECT_THAT(links, HasSubstr(std::string(name) + ":["));
    EXPECT_THAT(links, Not(HasSubstr(HostNamespace(name)))) << name;
  }
}

TEST_F(LaunchIsolation, IdsAreMapped) {
  LaunchSpec spec = Script("cat /proc/self/uid_map /proc/self/gid_map; id -u; touch /new");
  spec.id_base = 300000;
  spec.id_count = 70000;
  std::istringstream out(OutputOf(spec));
  uint64_t inside, outside, count;
  for (int i = 0; i < 2; ++i) {
    out >> inside >> outside >> count;
    EXPECT_THAT((std::vector<uint64_t>{inside, outside, count}), ElementsAre(0, 300000, 70000));
  }
  out >> inside;
  EXPECT_EQ(inside, 0u);
  struct stat status;
  ASSERT_EQ(stat(Path("upper/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0u);  // what is on disk carries the image's ids
}

TEST_F(LaunchIsolation, FilesOfTheImageKeepTheirOwners) {
  scratch_.Write("layer/theirs", "x");
  ASSERT_EQ(chown(Path("layer/theirs").c_str(), 33, 34), 0);
  EXPECT_EQ(OutputOf(Spec({"stat", "-c", "%u:%g", "/theirs", "/bin/busybox"})), "33:34\n0:0\n");
}

TEST_F(LaunchIsolation, HostIdsOnRequest) {
  LaunchSpec spec = Script("cat /proc/self/uid_map; echo x > /dev/null; cat /dev/null; touch /new");
  spec.user_namespace = false;
  EXPECT_THAT(OutputOf(spec), HasSubstr("4294967295"));
  EXPECT_TRUE(std::filesystem::exists(Path("upper/new")));
}

TEST_F(LaunchIsolation, HostNetworkOnRequest) {
  LaunchSpec spec = Script("readlink /proc/self/ns/net");
  spec.net = LaunchSpec::Net::kHost;
  spec.sysctls.clear();
  // A sysfs of the host's network cannot be mounted in another user namespace.
  std::erase_if(spec.mounts, [](const MountOp& mount) { return mount.target.starts_with("/sys"); });
  EXPECT_EQ(OutputOf(spec), HostNamespace("net") + "\n");
}

TEST_F(LaunchIsolation, OnlyItsOwnProcessesAreSeen) {
  const std::string out = OutputOf(Script("ls /proc | grep '^[0-9]' | sort -n | tr '\\n' ' '"));
  // minibox-init, the shell, and the pipe's
  EXPECT_TRUE(out.starts_with("1 2 ")) << out;
  EXPECT_LT(out.size(), 20u) << out;
}

TEST_F(LaunchIsolation, HostNameIsItsOwn) {
  char before[256], after[256];
  gethostname(before, sizeof before);
  EXPECT_EQ(OutputOf(Spec({"hostname"})), "box\n");
  gethostname(after, sizeof after);
  EXPECT_STREQ(before, after);
}

TEST_F(LaunchIsolation, NothingOfTheHostIsMounted) {
  const std::string text = OutputOf(Spec({"cat", "/proc/self/mountinfo"}));
  std::vector<std::string> targets;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, target, options;
    fields >> id >> parent >> device >> root >> target >> options;
    if (!target.starts_with("/sys/fs/cgroup/"))
      targets.push_back(target + " " + options.substr(0, 2));
  }
  std::vector<std::string> expected = {
      "/ rw",         "/proc rw",       "/sys ro",         "/sys/fs/cgroup ro", "/dev rw",
      "/dev/pts rw",  "/dev/shm rw",    "/dev/mqueue rw",  "/dev/null rw",      "/dev/zero rw",
      "/dev/full rw", "/dev/random rw", "/dev/urandom rw", "/dev/tty rw"};
  const LaunchSpec spec = Spec({"true"});
  for (const auto* paths : {&spec.masked_paths, &spec.read_only_paths}) {
    for (const std::string& path : *paths) {
      if (std::filesystem::exists(path)) expected.push_back(path + " ro");
    }
  }
  EXPECT_THAT(targets, UnorderedElementsAreArray(expected));
  EXPECT_THAT(text, Not(HasSubstr(scratch_.path())));
}

TEST_F(LaunchIsolation, NothingLiesAboveTheRoot) {
  const std::string out = OutputOf(Script("stat -c %d:%i / /.. /../.. ; cd /; cd ..; ls"));
  std::istringstream lines(out);
  std::string root, above, further;
  lines >> root >> above >> further;
  EXPECT_EQ(root, above);
  EXPECT_EQ(root, further);
  EXPECT_THAT(out, Not(HasSubstr("home")));
}

TEST_F(LaunchIsolation, NoDescriptorIsInherited) {
  EXPECT_EQ(OutputOf(Script("ls /proc/self/fd | tr '\\n' ' '")), "0 1 2 3 ");  // 3: ls itself
  LaunchSpec spec = Script("ls /proc/self/fd | tr '\\n' ' '");
  spec.init = false;
  EXPECT_EQ(OutputOf(spec), "0 1 2 3 ");
}

TEST_F(LaunchIsolation, PrivilegesAreLimited) {
  const std::string status = OutputOf(Spec({"cat", "/proc/self/status"}));
  EXPECT_EQ(StatusField(status, "CapInh"), "0000000000000000");
  EXPECT_EQ(StatusField(status, "CapPrm"), "00000000a80425fb");
  EXPECT_EQ(StatusField(status, "CapEff"), "00000000a80425fb");
  EXPECT_EQ(StatusField(status, "CapBnd"), "00000000a80425fb");
  EXPECT_EQ(StatusField(status, "CapAmb"), "0000000000000000");
  EXPECT_EQ(StatusField(status, "NoNewPrivs"), "1");
  EXPECT_EQ(StatusField(status, "Seccomp"), "2");
  EXPECT_EQ(StatusField(status, "Seccomp_filters"), "1");
}

TEST_F(LaunchIsolation, AnotherUserHasNoCapabilitiesButAmbientOnes) {
  constexpr uint64_t kNetBindService = 1 << 10;
  LaunchSpec spec = Spec({"cat", "/proc/self/status"});
  spec.user = "web";
  std::string status = OutputOf(spec);
  EXPECT_EQ(StatusField(status, "CapPrm"), "0000000000000000");
  EXPECT_EQ(StatusField(status, "CapEff"), "0000000000000000");
  EXPECT_EQ(StatusField(status, "CapBnd"), "00000000a80425fb");
  spec.ambient = kNetBindService;
  status = OutputOf(spec);
  EXPECT_EQ(StatusField(status, "CapEff"), "0000000000000400");
  EXPECT_EQ(StatusField(status, "CapAmb"), "0000000000000400");
}

TEST_F(LaunchIsolation, PrivilegedRunsHaveWhatTheyAskFor) {
  LaunchSpec spec = Spec({"cat", "/proc/self/status"});
  spec.no_new_privs = false;
  const std::string status = OutputOf(spec);
  EXPECT_EQ(StatusField(status, "NoNewPrivs"), "0");
  EXPECT_EQ(StatusField(status, "Seccomp"), "2");
}

TEST_F(LaunchIsolation, MountingIsRefused) {
  const Outcome outcome = Run(Script("mount -t tmpfs none /tmp"));
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("permission denied"));
}

TEST_F(LaunchIsolation, MaskedPathsShowNothing) {
  EXPECT_EQ(OutputOf(Script("cat /proc/keys /proc/timer_list; ls -A /proc/acpi /sys/firmware")),
            "/proc/acpi:\n\n/sys/firmware:\n");
  for (const char* change : {"echo x > /proc/keys", "touch /sys/firmware/x",
                             "echo 1 > /proc/sys/net/ipv4/ip_forward", "touch /proc/acpi/x"}) {
    const Outcome outcome = Run(Script(change));
    EXPECT_NE(outcome.exit.code, 0);
    EXPECT_THAT(outcome.err, HasSubstr("Read-only file system"));
  }
}

TEST_F(LaunchIsolation, Pid1CannotBeLookedInto) {
  LaunchSpec spec =
      Script("cat /proc/1/environ /proc/1/maps; ls /proc/1/fd/; readlink /proc/1/exe;:");
  spec.env.push_back("SECRET=sesame");
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(OutputOf(Spec({"cat", "/proc/1/comm"})), "minibox-init\n");
}

TEST_F(LaunchIsolation, Pid1KeepsOnlyWhatItNeeds) {
  const std::string status = OutputOf(Spec({"cat", "/proc/1/status"}));
  EXPECT_EQ(StatusField(status, "CapPrm"), "0000000000000020");  // CAP_KILL
  EXPECT_EQ(StatusField(status, "CapBnd"), "0000000000000000");
  EXPECT_EQ(StatusField(status, "Uid"), "0\t0\t0\t0");
}

TEST_F(LaunchIsolation, DevicesWork) {
  EXPECT_EQ(
      OutputOf(Script("echo gone > /dev/null && head -c 3 /dev/zero | wc -c && "
                      "head -c 3 /dev/urandom | wc -c && echo out > /dev/stdout && "
                      "readlink /dev/fd && readlink /dev/ptmx && stat -c %a /dev/shm /dev/mqueue")),
      "3\n3\nout\n/proc/self/fd\npts/ptmx\n1777\n1777\n");
  EXPECT_NE(Run(Script("echo x > /dev/full")).exit.code, 0);
}

TEST_F(LaunchIsolation, DeviceNodesCannotBeMade) {
  EXPECT_NE(Run(Spec({"mknod", "/tmp/disk", "b", "254", "0"})).exit.code, 0);
}

TEST_F(LaunchIsolation, SysctlsAreTheContainersOnly) {
  const std::string before =
      testing::ReadWholeFile("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  LaunchSpec spec =
      Spec({"cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shmmni"});
  spec.sysctls = {{"net/ipv4/ip_unprivileged_port_start", "77"}, {"kernel/shmmni", "123"}};
  EXPECT_EQ(OutputOf(spec), "77\n123\n");
  EXPECT_EQ(testing::ReadWholeFile("/proc/sys/net/ipv4/ip_unprivileged_port_start"), before);
}

TEST_F(LaunchIsolation, ItIsInItsCgroupFromTheBeginning) {
  bool member = false;
  const runtime::LaunchHooks hooks{.configure = [&](const runtime::SetUp& set_up) {
    const auto pids = cgroup_->Pids();
    member = pids.ok() && std::find(pids->begin(), pids->end(), set_up.pid) != pids->end();
    return Status();
  }};
  auto launched = Launch(Spec({"true"}), false, hooks);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  EXPECT_TRUE(member);
  EXPECT_TRUE(launched->connection.WaitExit().ok());
}

TEST_F(LaunchIsolation, ItsCgroupsAreTheRootsOfWhatItSees) {
  EXPECT_THAT(OutputOf(Spec({"cat", "/proc/self/cgroup"})), Not(HasSubstr("minibox")));
  // Of hierarchies in which it has no group nothing is mounted; else the host's would be seen.
  const std::string text = OutputOf(Spec({"cat", "/proc/self/mountinfo"}));
  size_t mounted = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(" - cgroup") == std::string::npos) continue;
    ++mounted;
    EXPECT_THAT(line, HasSubstr(" / /sys/fs/cgroup"));
    EXPECT_THAT(line, HasSubstr(" ro,"));
  }
  EXPECT_EQ(mounted, cgroup_->JoinDirs().size());
  EXPECT_EQ(OutputOf(Script("find /sys/fs/cgroup -name minibox")), "");
}

// A group of version 2 on a host that may have others as well.
class V2Cgroup : public kernel::Cgroup {
 public:
  explicit V2Cgroup(std::string dir) : top_(std::move(dir)) {
    std::filesystem::create_directories(top_ + path_);
    dir_.reset(open((top_ + path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~V2Cgroup() override {
    for (const char* name :
         {"/mbxtest-init-v2/minibox/v2", "/mbxtest-init-v2/minibox", "/mbxtest-init-v2"}) {
      EXPECT_EQ(rmdir((top_ + name).c_str()), 0) << name;
    }
  }
  std::vector<JoinDir> JoinDirs() const override { return {{dir_.get(), true}}; }
  const std::string& path() const override { return path_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }
  Status Apply(const kernel::CgroupLimits&) override { return Status(); }
  StatusOr<kernel::CgroupUsage> Usage() const override { return kernel::CgroupUsage(); }
  kernel::CgroupLimits Limits() const override { return {}; }
  StatusOr<std::vector<int>> Pids() const override { return std::vector<int>(); }
  Status Freeze(bool) override { return Status(); }
  Status KillAll() override { return Status(); }
  Status Remove() override { return Status(); }
  std::string Procs() const { return testing::ReadWholeFile(top_ + path_ + "/cgroup.procs"); }

 private:
  const std::string top_, path_ = "/mbxtest-init-v2/minibox/v2";
  const std::vector<std::string> warnings_;
  core::Fd dir_;
};

TEST_F(LaunchIsolation, Version2GroupsAreEnteredAtBirth) {
  std::string top;
  for (const char* dir : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
    if (std::filesystem::exists(std::string(dir) + "/cgroup.procs")) top = dir;
  }
  if (top.empty()) GTEST_SKIP() << "needs cgroup version 2";
  const V2Cgroup cgroup(top);
  auto launched = launcher_->Launch(
      Spec({"grep", "cgroup", "/proc/self/mountinfo", "/proc/self/cgroup"}), fds_, cgroup, false,
      {.configure = [&](const runtime::SetUp& set_up) {
        // And the workload's process, which waits to be released.
        EXPECT_TRUE(cgroup.Procs().starts_with(std::to_string(set_up.pid) + "\n"));
        return Status();
      }});
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  EXPECT_TRUE(launched->connection.WaitExit().ok());
  EXPECT_THAT(ReadLog(), HasSubstr(" / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 "));
  EXPECT_THAT(ReadLog(), Not(HasSubstr("minibox")));
}

}  // namespace
}  // namespace minibox::init
