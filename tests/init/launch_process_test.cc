// SPDX-License-Identifier: Apache-2.0
// How a workload is started and how it ends.
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "launch_fixture.h"

namespace minibox::init {
namespace {

using ::testing::HasSubstr;

class LaunchProcess : public LaunchTest {};

TEST_F(LaunchProcess, ExitStatusIsItsOwn) {
  for (const int code : {0, 3, 137, 255}) {
    const Outcome outcome = Run(Script("exit " + std::to_string(code)));
    EXPECT_EQ(outcome.exit.code, code);
    EXPECT_EQ(outcome.exit.signal, 0);
    EXPECT_FALSE(outcome.exit.oom_killed);
    EXPECT_EQ(outcome.exit.error, "");
  }
}

TEST_F(LaunchProcess, ExitStatusOfASignalIs128More) {
  for (const int signal : {SIGTERM, SIGKILL, SIGSEGV}) {
    const Outcome outcome = Run(Script("kill -" + std::to_string(signal) + " $$"));
    EXPECT_EQ(outcome.exit.code, 128 + signal);
    EXPECT_EQ(outcome.exit.signal, signal);
  }
}

TEST_F(LaunchProcess, WithoutInitTheWorkloadIsPid1) {
  LaunchSpec spec = Script("echo $$; exit 5");
  spec.init = false;
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.out, "1\n");
  EXPECT_EQ(outcome.exit.code, 5);
}

TEST_F(LaunchProcess, ArgumentsAreNotTouched) {
  EXPECT_EQ(
      OutputOf(Spec({"sh", "-c", "for a; do echo \"<$a>\"; done", "x", "a b", "", "$HOME", "*"})),
      "<a b>\n<>\n<$HOME>\n<*>\n");
}

TEST_F(LaunchProcess, EnvironmentIsExact) {
  LaunchSpec spec = Spec({"env"});
  spec.env = {"B=2", "PATH=/bin", "A=a b", "EMPTY="};
  EXPECT_EQ(OutputOf(spec), "B=2\nPATH=/bin\nA=a b\nEMPTY=\nHOME=/root\nUSER=root\n");
  spec.env = {"HOME=/h", "PATH=/bin", "USER=u"};
  EXPECT_EQ(OutputOf(spec), "HOME=/h\nPATH=/bin\nUSER=u\n");
  spec.env = {"PATH=/bin"};
  spec.user = "web";
  EXPECT_EQ(OutputOf(spec), "PATH=/bin\nHOME=/var/web\nUSER=web\n");
  spec.user = "4711";
  EXPECT_EQ(OutputOf(spec), "PATH=/bin\nHOME=/\nUSER=4711\n");
}

TEST_F(LaunchProcess, UserAndGroups) {
  LaunchSpec spec = Script("id -u; id -g; id -G; touch /tmp/mine; stat -c %u:%g /tmp/mine");
  ASSERT_EQ(chmod(Path("layer/tmp").c_str(), 01777), 0);
  spec.user = "web";
  EXPECT_EQ(OutputOf(spec), "33\n34\n34 4\n33:34\n");
  struct stat status;
  ASSERT_EQ(stat(Path("upper/tmp/mine").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 33u);
  spec.argv = {"sh", "-c", "id -u; id -g; id -G"};
  spec.user = "web:adm";
  EXPECT_EQ(OutputOf(spec), "33\n4\n4\n");
  spec.user = "1234:55";
  EXPECT_EQ(OutputOf(spec), "1234\n55\n55\n");
}

TEST_F(LaunchProcess, AnotherUserMayOpenStdout) {
  LaunchSpec spec = Script("echo out > /dev/stdout; echo err > /proc/self/fd/2");
  spec.user = "web";
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
}

TEST_F(LaunchProcess, UnknownUsersFail) {
  for (const char* user : {"nosuch", "web:nosuch", "65536", "0:65536", "web:", "-1"}) {
    LaunchSpec spec = Spec({"true"});
    spec.user = user;
    const Status status = FailureOf(spec);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_EQ(status.reason(), "invalid_argument");
    EXPECT_EQ(status.field(), "user");
    EXPECT_THAT(status.message(), HasSubstr(user));
  }
}

TEST_F(LaunchProcess, AccountsOfSpecialFilesAreIgnored) {
  std::filesystem::remove(Path("layer/etc/passwd"));
  ASSERT_EQ(mkfifo(Path("layer/etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(OutputOf(Spec({"env"})), "PATH=/bin\nHOME=/root\nUSER=0\n");
}

TEST_F(LaunchProcess, WorkingDirectoryIsMadeIfMissing) {
  LaunchSpec spec = Script("pwd; stat -c %a:%u .");
  spec.working_dir = "/srv/deep/dir";
  EXPECT_EQ(OutputOf(spec), "/srv/deep/dir\n755:0\n");
}

TEST_F(LaunchProcess, WorkingDirectoryStaysInside) {
  std::filesystem::create_symlink("../../../..", Path("layer/up"));
  std::filesystem::create_symlink("/not/there/yet", Path("layer/dangling"));
  LaunchSpec spec = Spec({"pwd"});
  spec.working_dir = "/up";
  EXPECT_EQ(OutputOf(spec), "/\n");
  spec.working_dir = "/dangling";
  EXPECT_EQ(OutputOf(spec), "/not/there/yet\n");
  EXPECT_FALSE(std::filesystem::exists("/not"));
}

TEST_F(LaunchProcess, BadWorkingDirectoriesFail) {
  std::filesystem::create_symlink("loop", Path("layer/loop"));
  for (const char* dir :
       {"/etc/passwd", "/etc/passwd/x", "/loop", "/proc/self/fd/3", "/proc/1/root"}) {
    LaunchSpec spec = Spec({"true"});
    spec.working_dir = dir;
    const Status status = FailureOf(spec);
    EXPECT_EQ(status.reason(), "invalid_argument") << status.ToString();
    EXPECT_EQ(status.field(), "workdir");
    EXPECT_THAT(status.message(), HasSubstr(dir));
  }
}

TEST_F(LaunchProcess, CommandsThatDoNotExistFail) {
  for (const char* command : {"nosuch", "/bin/nosuch", "/nosuch/true", "/bin/true/x", "./x"}) {
    const Status status = FailureOf(Spec({command}));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.reason(), "command_not_found") << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr(command));
  }
  LaunchSpec spec = Spec({"true"});
  spec.env = {"A=1"};
  EXPECT_EQ(FailureOf(spec).reason(), "command_not_found");
  spec.env = {"PATH="};
  EXPECT_EQ(FailureOf(spec).reason(), "command_not_found");
}

TEST_F(LaunchProcess, CommandsThatCannotBeExecutedFail) {
  scratch_.Write("layer/bin/plain", "text", 0644);
  scratch_.Write("layer/bin/garbage", std::string("\177ELF\0\0\0garbage", 14), 0755);
  scratch_.Write("layer/bin/script", "#!/no/such/interpreter\n", 0755);
  scratch_.Write("layer/bin/headless", "echo no interpreter\n", 0755);
  for (const char* command : {"plain", "/bin/plain", "garbage", "/bin/script", "script", "headless",
                              "/etc", "/bin/headless"}) {
    const Status status = FailureOf(Spec({command}));
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(status.reason(), "command_not_executable") << status.ToString();
  }
  LaunchSpec spec = Spec({"plain"});
  spec.init = false;
  EXPECT_EQ(FailureOf(spec).reason(), "command_not_executable");
}

TEST_F(LaunchProcess, PathIsSearchedInOrderAsTheUser) {
  scratch_.Write("layer/a/tool", "#!/bin/sh\necho a\n", 0644);
  scratch_.Write("layer/b/tool", "#!/bin/sh\necho b\n", 0755);
  scratch_.Write("layer/c/tool", "#!/bin/sh\necho c\n", 0755);
  LaunchSpec spec = Spec({"tool"});
  spec.env = {"PATH=/nosuch:/etc/passwd:/a:/b:/c:/bin"};
  EXPECT_EQ(OutputOf(spec), "b\n");
  spec.env = {"PATH=:/bin"};
  spec.working_dir = "/c";
  EXPECT_EQ(OutputOf(spec), "c\n");
  ASSERT_EQ(chmod(Path("layer/b").c_str(), 0700), 0);
  spec.env = {"PATH=/b:/c:/bin"};
  spec.user = "web";
  EXPECT_EQ(OutputOf(spec), "c\n");
}

TEST_F(LaunchProcess, LimitsAreSet) {
  LaunchSpec spec = Spec({"cat", "/proc/self/limits"});
  spec.rlimits = {{.resource = RLIMIT_CORE, .soft = 0, .hard = 0},
                  {.resource = RLIMIT_NOFILE, .soft = 100, .hard = 200},
                  {.resource = RLIMIT_FSIZE, .soft = 1000, .hard = RLIM_INFINITY}};
  const std::string limits = OutputOf(spec);
  EXPECT_THAT(limits, ::testing::ContainsRegex("Max core file size +0 +0 "));
  EXPECT_THAT(limits, ::testing::ContainsRegex("Max open files +100 +200 "));
  EXPECT_THAT(limits, ::testing::ContainsRegex("Max file size +1000 +unlimited "));
}

TEST_F(LaunchProcess, LimitOnDescriptorsIsTheEnginesByDefault) {
  struct rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_EQ(OutputOf(Script("ulimit -n")), std::to_string(limit.rlim_cur) + "\n");
}

TEST_F(LaunchProcess, DefaultLimitsBeyondTheHostsOnlyWarn) {
  LaunchSpec spec = Script("ulimit -n; ulimit -Hn");
  const Rlimit beyond{.resource = RLIMIT_NOFILE, .soft = 1u << 30, .hard = uint64_t{1} << 40};
  spec.rlimits = {beyond};
  const Status status = FailureOf(spec);
  EXPECT_EQ(status.reason(), "unsupported_by_host") << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("nofile"));
  spec.rlimits[0].best_effort = true;
  struct rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  auto launched = Launch(spec);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  EXPECT_THAT(launched->warnings, ::testing::ElementsAre(HasSubstr("nofile")));
  EXPECT_TRUE(launched->connection.WaitExit().ok());
  const std::string hard = std::to_string(limit.rlim_max);
  EXPECT_EQ(ReadLog(), hard + "\n" + hard + "\n");
}

TEST_F(LaunchProcess, OomScoreIsSet) {
  LaunchSpec spec = Spec({"cat", "/proc/self/oom_score_adj"});
  const std::string inherited = testing::ReadWholeFile("/proc/self/oom_score_adj");
  EXPECT_EQ(OutputOf(spec), inherited);
  spec.oom_score_adj = 777;
  EXPECT_EQ(OutputOf(spec), "777\n");
}

TEST_F(LaunchProcess, ItLeadsASessionAndHasTheUsualMask) {
  EXPECT_EQ(OutputOf(Script("set -- $(cat /proc/self/stat); [ $5 = $6 ] && umask;"
                            "grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -d '\\n'")),
            "0022\nSigBlk:\t0000000000000000SigIgn:\t0000000000000000");
}

TEST_F(LaunchProcess, StandardInputIsEmpty) { EXPECT_EQ(OutputOf(Spec({"cat"})), ""); }

TEST_F(LaunchProcess, OrphansAreReaped) {
  // The child of the subshell becomes PID 1's.
  EXPECT_EQ(OutputOf(Script("(sleep 0.01 & echo $! > /tmp/orphan); o=$(cat /tmp/orphan);"
                            "while [ -e /proc/$o ]; do :; done; echo reaped")),
            "reaped\n");
}

TEST_F(LaunchProcess, WhatIsLeftDiesWithTheWorkload) {
  const Outcome outcome = Run(Script("sleep 1000 & sleep 1000 & exit 4"));
  EXPECT_EQ(outcome.exit.code, 4);
  const auto pids = cgroup_->Pids();
  ASSERT_TRUE(pids.ok());
  EXPECT_TRUE(pids->empty());
}

}  // namespace
}  // namespace minibox::init
