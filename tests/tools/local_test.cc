// SPDX-License-Identifier: Apache-2.0
// minibox --local: commands without a daemon, and beside one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "support/scratch.h"
#include "tools/daemon.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class LocalTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (HaveRoot()) EnterOwnNetwork();
  }
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    WriteBusyboxContext(scratch_, "shell", "BASE base.tar.gz\n");
    const Finished built = Local({"build", "-t", "shell", scratch_ / "shell"});
    ASSERT_EQ(built.status, 0) << built.out << built.err;
  }
  void TearDown() override {
    const Finished left = Local({"ps", "-aq"});
    EXPECT_EQ(left.out, "") << left.err;
  }

  Finished Local(std::vector<std::string> arguments, const Variables& more = {},
                 const std::string& stdin_path = "/dev/null") {
    arguments.insert(arguments.begin(),
                     {MINIBOX_PATH, "--local", "--data-root", scratch_ / "data"});
    Variables variables = {{"MINIBOX_BUILD_PREFIXES", scratch_.path()},
                           // What concerns a daemon's listener is of no interest.
                           {"MINIBOX_HTTP_ADDR", "256.0.0.1:http"},
                           {"MINIBOX_API_TOKEN", "of-a-daemon"},
                           {"MINIBOX_API", "http://127.0.0.1:1"}};
    for (const auto& [name, value] : more) variables[name] = value;
    return RunProgram(arguments, variables, stdin_path);
  }

  Scratch scratch_;
};

TEST_F(LocalTest, RunsInThisProcess) {
  const Finished ran = Local(
      {"run", "--rm", "--network", "none", "shell", "sh", "-c", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(ran.status, 7);
  EXPECT_EQ(ran.out, "out\n");
  EXPECT_THAT(ran.err, HasSubstr("err\n"));
  EXPECT_THAT(ran.err, Not(HasSubstr("127.0.0.1")));
  scratch_.Write("input", "typed");
  const Finished interactive =
      Local({"run", "-i", "--rm", "--network", "none", "shell", "cat"}, {}, scratch_ / "input");
  EXPECT_EQ(interactive.out, "typed") << interactive.err;
  EXPECT_EQ(Local({"run", "--rm", "--network", "none", "shell", "no-such-program"}).status, 127);
}

TEST_F(LocalTest, WhatItStartsGoesOnWithoutIt) {
  const Finished started =
      Local({"run", "-d", "--name", "w", "--network", "none", "shell", "sleep", "1000"});
  ASSERT_EQ(started.status, 0) << started.err;
  const std::string id = started.out.substr(0, started.out.find('\n'));
  EXPECT_EQ(Local({"ps", "-q"}).out, id + "\n");
  EXPECT_EQ(Local({"exec", "w", "echo", "in"}).out, "in\n");
  scratch_.Write("f", "copied");
  EXPECT_EQ(Local({"cp", scratch_ / "f", "w:/tmp/"}).status, 0);
  EXPECT_EQ(Local({"exec", "w", "cat", "/tmp/f"}).out, "copied");
  EXPECT_EQ(Local({"stop", "-t", "0", "w"}).status, 0);
  EXPECT_EQ(Local({"wait", "w"}).out, "137\n");
  EXPECT_EQ(Local({"rm", "w"}).status, 0);
}

// The same containers and images, whoever made them; policies are the daemon's.
TEST_F(LocalTest, WorksBesideADaemon) {
  Daemon daemon(scratch_);
  const Finished started =
      Local({"run", "-d", "--name", "w", "--network", "none", "--restart", "on-failure:1", "shell",
             "sh", "-c", "echo run; [ -e /tmp/go ] || { touch /tmp/go; exit 3; }; sleep 1000"});
  ASSERT_EQ(started.status, 0) << started.err;
  // It was started by a process that is gone, and fails: the daemon starts it again.
  std::string log;
  for (int looks = 0; looks < 300 && log != "run\nrun\n"; ++looks) {
    log = daemon.Cli({"logs", "w"}).out;
  }
  EXPECT_EQ(log, "run\nrun\n");
  EXPECT_EQ(daemon.Cli({"exec", "w", "true"}).status, 0);
  EXPECT_THAT(Local({"ps"}).out, HasSubstr("running"));
  EXPECT_EQ(daemon.Cli({"tag", "shell", "other"}).status, 0);
  EXPECT_THAT(Local({"images", "-q"}).out, Not(IsEmpty()));
  EXPECT_EQ(Local({"rmi", "other"}).status, 0);
  EXPECT_THAT(daemon.Cli({"images"}).out, Not(HasSubstr("other")));
  EXPECT_EQ(Local({"rm", "-f", "w"}).status, 0);
  EXPECT_EQ(daemon.Cli({"ps", "-aq"}).out, "");
}

TEST_F(LocalTest, RefusesWhatMakesNoSense) {
  const auto run = [](const std::vector<std::string>& more) {
    std::vector<std::string> argv = {MINIBOX_PATH};
    argv.insert(argv.end(), more.begin(), more.end());
    return RunProgram(argv);
  };
  const Finished both = run({"--local", "--host", "http://127.0.0.1:1", "ps"});
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("--local: not together with --host"));
  const Finished remote = run({"--data-root", "/tmp/x", "ps"});
  EXPECT_EQ(remote.status, 2);
  EXPECT_THAT(remote.err, HasSubstr("--data-root: only with --local"));
  scratch_.Write("file", "x");
  const Finished file = run({"--local", "--data-root", scratch_ / "file", "ps"});
  EXPECT_EQ(file.status, 1);
  EXPECT_THAT(file.err, HasSubstr(scratch_ / "file"));
  const Finished variable = Local({"ps"}, {{"MINIBOX_BUILD_WORKERS", "many"}});
  EXPECT_EQ(variable.status, 1);
  EXPECT_THAT(variable.err, HasSubstr("MINIBOX_BUILD_WORKERS"));
}

TEST_F(LocalTest, NeedsRoot) {
  const std::string program = scratch_ / "minibox";
  std::filesystem::copy_file(MINIBOX_PATH, program);
  ASSERT_EQ(chmod(scratch_.path().c_str(), 0755), 0);
  const Finished done = RunProgram({"/usr/bin/setpriv", "--reuid=65534", "--regid=65534",
                                    "--clear-groups", program, "--local", "ps"});
  EXPECT_EQ(done.status, 1);
  EXPECT_THAT(done.err, HasSubstr("--local: needs root"));
}

TEST_F(LocalTest, DebugShowsRequests) {
  EXPECT_THAT(Local({"--debug", "ps", "-q"}).err, HasSubstr("[debug] GET /containers"));
  Daemon daemon(scratch_);
  EXPECT_THAT(daemon.Cli({"--debug", "images", "-q"}).err, HasSubstr(" -> 200, "));
  EXPECT_THAT(daemon.Cli({"images", "-q"}).err, Not(HasSubstr("[debug]")));
}

}  // namespace
}  // namespace minibox::testing
