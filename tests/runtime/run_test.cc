// SPDX-License-Identifier: Apache-2.0
// What a workload finds: ids, rights, names, environment, mounts.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "kernel/capabilities.h"
#include "runtime/host_facts.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Run : public RuntimeTest {};

std::string Hex16(uint64_t mask) {
  char text[17];
  snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(mask));
  return text;
}

TEST_F(Run, OutputIsCompleteInOrderAndApart) {
  const Output output = RunShell(Shell("for i in $(seq 1 5000); do echo line $i; done; "
                                       "echo error >&2; printf end; exit 7"),
                                 7);
  std::string expected;
  for (int i = 1; i <= 5000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(output.out, expected + "end");
  EXPECT_EQ(output.err, "error\n");
  EXPECT_EQ(output.exit.signal, 0);
  // The log has the same bytes, each stream in its order.
  std::string out, err;
  ASSERT_TRUE(runtime()
                  .ReadLogs(output.id, {},
                            [&](const OutputChunk& chunk) {
                              (chunk.stream == Stream::kStdout ? out : err) += chunk.bytes;
                              return Status();
                            })
                  .ok());
  EXPECT_EQ(out, output.out);
  EXPECT_EQ(err, output.err);
}

TEST_F(Run, EachRunningContainerHasItsOwnIdRange) {
  const ContainerInfo first = Start(Shell("cat /proc/self/uid_map; exec sleep 1000"));
  const ContainerInfo second = Start(Shell("cat /proc/self/gid_map; exec sleep 1000"));
  AwaitLog(first.id, "\n");
  AwaitLog(second.id, "\n");
  EXPECT_THAT(Log(first.id), HasSubstr("0     100000      65536"));
  EXPECT_THAT(Log(second.id), HasSubstr("0     165536      65536"));
  EXPECT_EQ(Stdout("id -u"), "0\n");
}

TEST_F(Run, HostIdsAreUsedWhenAskedFor) {
  ContainerSpec spec = Shell("cat /proc/self/uid_map");
  spec.security.host_userns = true;
  EXPECT_THAT(RunShell(spec).out, HasSubstr("0          0 4294967295"));
}

TEST_F(Run, RootHasTheDefaultCapabilitiesAndNothingElse) {
  const std::string status = Stdout("cat /proc/self/status");
  const std::string set = Hex16(kernel::DefaultCapabilities());
  EXPECT_THAT(status, HasSubstr("CapEff:\t" + set));
  EXPECT_THAT(status, HasSubstr("CapPrm:\t" + set));
  EXPECT_THAT(status, HasSubstr("CapBnd:\t" + set));
  EXPECT_THAT(status, HasSubstr("CapInh:\t" + Hex16(0)));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
}

TEST_F(Run, OtherUsersHaveOnlyWhatWasAdded) {
  ContainerSpec spec = Shell("cat /proc/self/status; id -u; id -G; echo $HOME $USER");
  spec.user = "www";
  Output output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("CapEff:\t" + Hex16(0)));
  EXPECT_THAT(output.out, HasSubstr("1000\n1000 2000\n/home/www www\n"));
  spec.security.cap_add = {"NET_BIND_SERVICE"};
  output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("CapEff:\t" + Hex16(uint64_t{1} << 10)));
}

TEST_F(Run, SeccompRefusesWhatTheProfileDoes) {
  ContainerSpec spec = Shell("unshare -n true");
  EXPECT_NE(RunShell(spec, 1).err, "");
  spec.security.cap_add = {"SYS_ADMIN"};
  RunShell(spec);
}

TEST_F(Run, PrivilegedHasEverythingThatTheEngineHas) {
  ContainerSpec spec = Shell("cat /proc/self/status; stat -c %F /dev/kmsg");
  spec.security.privileged = true;
  const Output output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("CapEff:\t" + Hex16(runtime::ReadHostFacts().capabilities)));
  EXPECT_THAT(output.out, HasSubstr("NoNewPrivs:\t0"));
  EXPECT_THAT(output.out, HasSubstr("Seccomp:\t0"));
  EXPECT_THAT(output.out, HasSubstr("character special file"));
}

TEST_F(Run, SensitiveFilesAreMasked) {
  EXPECT_EQ(Stdout("wc -c < /proc/interrupts; ls /sys/firmware | wc -l"), "0\n0\n");
  EXPECT_NE(RunShell(Shell("echo 1 > /proc/sys/kernel/hostname"), 1).err, "");
  EXPECT_NE(RunShell(Shell("mkdir /sys/fs/cgroup/x"), 1).err, "");
}

TEST_F(Run, NamesAreInPlace) {
  ContainerSpec spec = Shell("hostname; cat /etc/hostname /etc/hosts; echo $HOSTNAME");
  spec.name = "web";
  spec.extra_hosts = {"db:10.0.0.1"};
  const Output output = RunShell(spec);
  EXPECT_THAT(output.out, ::testing::StartsWith("web\nweb\n127.0.0.1\tlocalhost\n"));
  EXPECT_THAT(output.out, HasSubstr("\n10.0.0.1\tdb\nweb\n"));
  spec.hostname = "other";
  EXPECT_THAT(RunShell(spec).out, ::testing::StartsWith("other\nother\n"));
}

TEST_F(Run, ResolversAreThoseThatWereGiven) {
  ContainerSpec spec = Shell("cat /etc/resolv.conf");
  spec.dns = {"10.9.8.7"};
  EXPECT_THAT(RunShell(spec).out, HasSubstr("nameserver 10.9.8.7\n"));
}

TEST_F(Run, EnvironmentIsExactlyWhatTheSpecSays) {
  ASSERT_EQ(setenv("MBX_SECRET_OF_THE_HOST", "1", 1), 0);
  ContainerSpec spec = Shell("env | sort");
  spec.env = {"B=2", "A=x y"};
  const Output output = RunShell(spec);
  unsetenv("MBX_SECRET_OF_THE_HOST");
  // PWD and SHLVL are the shell's.
  EXPECT_EQ(output.out, "A=x y\nB=2\nHOME=/root\nHOSTNAME=" + output.id.ToString() +
                            "\nPATH=/bin\nPWD=/\nSHLVL=1\nUSER=root\n");
}

TEST_F(Run, WorkingDirectoryIsMadeIfMissing) {
  ContainerSpec spec = Shell("pwd; stat -c '%a %u' .");
  spec.working_dir = "/srv/deep/er";
  EXPECT_EQ(RunShell(spec).out, "/srv/deep/er\n755 0\n");
}

TEST_F(Run, CommandIsLookedUpInThePathOfTheContainer) {
  ContainerSpec spec;
  spec.image = "busybox";
  spec.network = "none";
  spec.entrypoint = {{"echo", "a b"}};
  spec.command = {"$HOME;", "c"};
  EXPECT_EQ(RunShell(spec).out, "a b $HOME; c\n");
}

TEST_F(Run, StartFailuresLeaveNothing) {
  struct Case {
    const char* reason;
    int exit_code;
    std::function<void(ContainerSpec&)> change;
  };
  const std::string garbage = scratch_.Write("garbage",
                                             "\x7f"
                                             "ELF but not really",
                                             0755);
  const std::string script = scratch_.Write("script", "#!/no/such/interpreter\n", 0755);
  const auto executes = [](const std::string& file) {
    return [file](ContainerSpec& s) {
      s.mounts = {{Mount::Kind::kBind, file, "/bin/given", ""}};
      s.command = {"given"};
    };
  };
  const Case cases[] = {
      {"command_not_executable", 126, executes(garbage)},
      {"command_not_executable", 126, executes(script)},
      {"invalid_argument", 125, [](ContainerSpec& s) { s.user = "root:nobody-knows"; }},
      {"invalid_argument", 125, [](ContainerSpec& s) { s.working_dir = "/etc/passwd"; }},
      {"command_not_found", 127, [](ContainerSpec& s) { s.command = {"nope"}; }},
      {"command_not_found", 127, [](ContainerSpec& s) { s.command = {"/bin/nope"}; }},
      {"command_not_executable", 126, [](ContainerSpec& s) { s.command = {"/etc/passwd"}; }},
      {"command_not_executable", 126, [](ContainerSpec& s) { s.command = {"/etc"}; }},
      {"invalid_argument", 125, [](ContainerSpec& s) { s.user = "nobody-knows"; }},
      {"invalid_argument", 125, [](ContainerSpec& s) { s.user = "70000"; }},
      {"invalid_argument", 125, [](ContainerSpec& s) { s.working_dir = "/etc/passwd/x"; }},
      {"invalid_argument", 125,
       [](ContainerSpec& s) {
         s.sysctls = {{"net.not.there", "1"}};
       }},
      {"invalid_argument", 125,
       [](ContainerSpec& s) {
         s.mounts = {{Mount::Kind::kBind, "/does/not/exist", "/x", "nocreate"}};
       }},
      {"image_not_found", 125, [](ContainerSpec& s) { s.image = "nope"; }},
  };
  for (const Case& c : cases) {
    ContainerSpec spec = Shell("true");
    c.change(spec);
    const auto info = runtime().Run(spec);
    EXPECT_EQ(info.status().reason(), c.reason) << info.status().ToString();
    EXPECT_EQ(StartFailureExitCode(info.status()), c.exit_code);
    ExpectNothingLeft();
  }
}

TEST_F(Run, ReadOnlyRootIsReadOnly) {
  ContainerSpec spec = Shell("touch /x /etc/x 2>&1; touch /tmp/x /dev/shm/x && echo ok");
  spec.security.read_only_rootfs = true;
  spec.mounts = {{Mount::Kind::kTmpfs, "", "/tmp", "size=1m"}};
  const Output output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("Read-only file system"));
  EXPECT_THAT(output.out, HasSubstr("ok\n"));
  spec.command = {"sh", "-c", "echo x >> /etc/hosts"};
  EXPECT_THAT(RunShell(spec, 1).err, HasSubstr("Read-only file system"));
}

TEST_F(Run, TmpfsHasItsOptions) {
  ContainerSpec spec = Shell("stat -c '%a %u:%g' /t; df -k /t | tail -1; grep ' /t ' /proc/mounts");
  spec.mounts = {{Mount::Kind::kTmpfs, "", "/t", "size=64k,mode=0750,uid=5,gid=6"}};
  const Output output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("750 5:6\n"));
  EXPECT_THAT(output.out, HasSubstr(" 64 "));
  EXPECT_THAT(output.out, HasSubstr("noexec"));
}

TEST_F(Run, NamedVolumeIsFilledOnceAndStays) {
  ContainerSpec spec = Shell("cat /data/*; echo mine > /data/mine; chown 1000 /data/mine");
  spec.mounts = {{Mount::Kind::kVolume, "v", "/data", ""}};
  EXPECT_EQ(RunShell(spec).out, "from the image\n");
  EXPECT_EQ(RunShell(spec).out, "mine\nfrom the image\n");
  // Ids on disk are those inside.
  struct stat st;
  ASSERT_EQ(stat(DataPath("volumes/v/mine").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 1000u);
  EXPECT_EQ(st.st_gid, 0u);
  spec.mounts = {{Mount::Kind::kVolume, "w", "/data", "nocopy"}};
  EXPECT_EQ(RunShell(spec, 0).out, "");
  EXPECT_TRUE(store().InspectVolume("v").ok());
}

TEST_F(Run, AnonymousVolumeGoesWithItsContainer) {
  BusyboxImage image;
  image.name = "with-volume";
  image.config.volumes = {"/data"};
  ASSERT_TRUE(AddBusyboxImage(store(), image).ok());
  ContainerSpec spec = Shell("cat /data/seed; grep -c ' /data ' /proc/mounts");
  spec.image = "with-volume";
  const Output output = RunShell(spec);
  EXPECT_EQ(output.out, "from the image\n1\n");
  ASSERT_EQ(store().ListVolumes()->size(), 1u);
  EXPECT_TRUE(store().ListVolumes()->front().anonymous);
  ASSERT_TRUE(runtime().Remove(output.id).ok());
  EXPECT_EQ(store().ListVolumes()->size(), 0u);
}

TEST_F(Run, BindsShowTheHostsFilesThroughTheIdMap) {
  const std::string source = scratch_ / "bind";
  scratch_.Write("bind/file", "host\n");
  ContainerSpec spec = Shell("cat /b/file; stat -c %u /b/file; echo new > /b/new");
  spec.mounts = {{Mount::Kind::kBind, source, "/b", ""}};
  EXPECT_EQ(RunShell(spec).out, "host\n0\n");
  EXPECT_EQ(ReadWholeFile(source + "/new"), "new\n");
  struct stat st;
  ASSERT_EQ(stat((source + "/new").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 0u);

  spec = Shell("echo x > /b/ro");
  spec.mounts = {{Mount::Kind::kBind, source, "/b", "ro"}};
  EXPECT_THAT(RunShell(spec, 1).err, HasSubstr("Read-only"));

  spec = Shell("stat -c %F /made");
  spec.mounts = {{Mount::Kind::kBind, source + "/made/deep", "/made", ""}};
  EXPECT_EQ(RunShell(spec).out, "directory\n");
  ASSERT_EQ(stat((source + "/made/deep").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0755u);
}

TEST_F(Run, BindsOfSingleFilesAndNestedTargetsWork) {
  const std::string file = scratch_.Write("one", "one\n");
  ContainerSpec spec = Shell("cat /new/dir/one /data/seed; echo changed > /new/dir/one");
  spec.mounts = {{Mount::Kind::kBind, file, "/new/dir/one", ""},
                 {Mount::Kind::kVolume, "outer", "/new", ""}};
  EXPECT_EQ(RunShell(spec).out, "one\nfrom the image\n");
  EXPECT_EQ(ReadWholeFile(file), "changed\n");
}

TEST_F(Run, SysctlsAndUlimitsAreInForce) {
  ContainerSpec spec = Shell("cat /proc/sys/kernel/msgmax; ulimit -n; ulimit -Hn; ulimit -c");
  spec.sysctls = {{"kernel.msgmax", "4321"}};
  spec.ulimits = {{"nofile", "100:200"}};
  EXPECT_EQ(RunShell(spec).out, "4321\n100\n200\n0\n");
}

TEST_F(Run, SharedMemoryHasItsSize) {
  ContainerSpec spec = Shell("df -k /dev/shm | tail -1");
  spec.shm_bytes = 3u << 20;
  EXPECT_THAT(RunShell(spec).out, HasSubstr(" 3072 "));
}

TEST_F(Run, WorkloadCanBePidOne) {
  ContainerSpec spec = Shell("echo $$");
  spec.init = false;
  EXPECT_EQ(RunShell(spec).out, "1\n");
  spec.init = true;
  EXPECT_THAT(RunShell(spec).out, Not("1\n"));
}

TEST_F(Run, TimeoutKillsAndSaysSo) {
  ContainerSpec spec = Shell("sleep 1000");
  spec.timeout = std::chrono::milliseconds(200);
  const Output output = RunShell(spec, 137);
  EXPECT_EQ(output.exit.error, "timeout");
}

TEST_F(Run, OnlyTheContainersOwnProcessesAreSeen) {
  EXPECT_EQ(Stdout("ls /proc > /list; grep -c '^[0-9]*$' /list"), "3\n");
}

TEST_F(Run, NoDescriptorOfTheHostIsInherited) {
  EXPECT_EQ(Stdout("ls /proc/self/fd | wc -l"), "4\n");  // 0-2 and the directory itself
}

TEST_F(Run, RootDirectoryHasTheImagesMode) {
  BusyboxImage image;
  image.name = "odd-root";
  image.entries = {{.name = "./", .type = '5', .mode = 0711}};
  ASSERT_TRUE(AddBusyboxImage(store(), image).ok());
  ContainerSpec spec = Shell("stat -c '%a %u:%g' /");
  spec.image = "odd-root";
  EXPECT_EQ(RunShell(spec).out, "711 0:0\n");
}

}  // namespace
}  // namespace minibox::testing
