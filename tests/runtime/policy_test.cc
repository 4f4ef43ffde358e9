// SPDX-License-Identifier: Apache-2.0
// Restart policies, acted upon by a runtime that supervises.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using Kind = RestartPolicy::Kind;
using std::chrono::milliseconds;

class Policy : public RuntimeTest {
 protected:
  void SetUp() override {
    options_.supervise = true;
    RuntimeTest::SetUp();
  }
  static ContainerSpec With(std::string script, RestartPolicy policy) {
    ContainerSpec spec = Shell(std::move(script));
    spec.restart = policy;
    return spec;
  }
  // Follows the log over restarts until it holds `text`.
  void AwaitRestarted(const ContainerId& id, std::string_view text) {
    std::string seen;
    const Status found(StatusCode::kAborted, "found");
    const Status read = runtime().ReadLogs(id, {.follow = true}, [&](const OutputChunk& chunk) {
      seen += chunk.bytes;
      return seen.find(text) != std::string::npos ? found : Status();
    });
    EXPECT_EQ(read.code(), StatusCode::kAborted) << seen;
  }
  // The host restarts: no process of the old boot is left, and the records are of another boot.
  void ForgetBoot(const ContainerId& id) {
    const std::string path = DataPath("containers/" + id.ToString() + "/state.json");
    std::string text = ReadWholeFile(path);
    const size_t at = text.find("\"boot_id\":\"");
    ASSERT_NE(at, std::string::npos);
    text[at + 11] = text[at + 11] == '0' ? '1' : '0';
    std::ofstream(path, std::ios::trunc) << text;
  }
};

TEST_F(Policy, OnFailureGivesUpAfterSoManyAttempts) {
  const ContainerInfo info = Start(With("echo run; exit 3", {Kind::kOnFailure, 2}));
  const ContainerInfo last = Await(info.id, [](const ContainerInfo& now) {
    return now.state == ContainerState::kExited && !now.next_restart;
  });
  EXPECT_EQ(last.restart_count, 2);
  EXPECT_EQ(last.exit->code, 3);
  EXPECT_EQ(Log(info.id), "run\nrun\nrun\n");
}

TEST_F(Policy, OnFailureLetsASuccessRest) {
  const ContainerInfo info = Start(With("exit 0", {Kind::kOnFailure, 0}));
  ASSERT_TRUE(runtime().Wait(info.id).ok());
  const auto after = runtime().Inspect(info.id);
  EXPECT_EQ(after->state, ContainerState::kExited);
  EXPECT_FALSE(after->next_restart.has_value());
}

TEST_F(Policy, AlwaysStartsAgainUntilItIsStopped) {
  const ContainerInfo info = Start(With(
      "test -e /again && { echo lasting; exec sleep 1000; }; touch /again", {Kind::kAlways, 0}));
  AwaitRestarted(info.id, "lasting");
  const ContainerInfo again = Await(
      info.id, [](const ContainerInfo& now) { return now.state == ContainerState::kRunning; });
  EXPECT_EQ(again.restart_count, 1);
  EXPECT_EQ(again.restart.ToString(), "always");
  ASSERT_TRUE(runtime().Stop(info.id, {.grace = milliseconds(0)}).ok());
  const auto stopped = runtime().Inspect(info.id);
  EXPECT_EQ(stopped->state, ContainerState::kExited);
  EXPECT_FALSE(stopped->next_restart.has_value());
  // A start by a user begins anew.
  ASSERT_TRUE(runtime().Start(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->restart_count, 0);
}

TEST_F(Policy, KillSwitchesItOff) {
  const ContainerInfo info = Start(With("exec sleep 1000", {Kind::kAlways, 0}));
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  const auto killed = runtime().Inspect(info.id);
  EXPECT_EQ(killed->exit->code, 137);
  EXPECT_FALSE(killed->next_restart.has_value());
}

TEST_F(Policy, ASignalThatIsNotMeantToEndItLeavesThePolicyOn) {
  const ContainerInfo info =
      Start(With("test -e /again && { echo lasting; exec sleep 1000; }; touch /again; "
                 "trap 'exit 4' USR1; echo ready; while :; do sleep 1000 & wait; done",
                 {Kind::kOnFailure, 0}));
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Kill(info.id, SIGUSR1).ok());
  AwaitRestarted(info.id, "lasting");
}

TEST_F(Policy, StopAndKillEndTheWait) {
  for (const bool stop : {true, false}) {
    const ContainerInfo info = Start(With("exit 1", {Kind::kAlways, 0}));
    const ContainerInfo waiting = Await(info.id, [](const ContainerInfo& now) {
      return now.restart_count >= 3 && now.next_restart &&
             *now.next_restart > std::chrono::system_clock::now();
    });
    EXPECT_EQ(waiting.state, ContainerState::kExited);
    // If it runs again by now, its end is what they are there for.
    if (stop) {
      EXPECT_TRUE(runtime().Stop(info.id, {.grace = milliseconds(0)}).ok());
    } else {
      EXPECT_TRUE(runtime().Kill(info.id).ok());
    }
    const auto after = runtime().Inspect(info.id);
    EXPECT_EQ(after->state, ContainerState::kExited);
    EXPECT_FALSE(after->next_restart.has_value());
    EXPECT_EQ(runtime().Kill(info.id).reason(), "container_not_running");
  }
}

TEST_F(Policy, AFailedStartIsAnAttempt) {
  ContainerSpec spec = With("rm /bin/sh; exit 1", {Kind::kOnFailure, 2});
  const ContainerInfo info = Start(spec);
  const ContainerInfo last = Await(info.id, [](const ContainerInfo& now) {
    return now.restart_count == 2 && !now.next_restart;
  });
  EXPECT_EQ(last.state, ContainerState::kExited);
  EXPECT_THAT(last.error, ::testing::HasSubstr("sh"));
}

TEST_F(Policy, RestsWithoutSupervisionAndGoesOnWithIt) {
  options_.supervise = false;
  Reopen();
  const ContainerInfo info =
      Start(With("test -e /again && { echo lasting; exec sleep 1000; }; touch /again; exit 1",
                 {Kind::kUnlessStopped, 0}));
  ASSERT_TRUE(runtime().Wait(info.id).ok());
  EXPECT_TRUE(runtime().Inspect(info.id)->next_restart.has_value());
  options_.supervise = true;
  Reopen();
  AwaitRestarted(info.id, "lasting");
}

TEST_F(Policy, ActsOnWhatOtherProcessesStart) {
  RuntimeOptions own = options_;
  options_.supervise = false;
  auto other = OpenAnother();
  options_ = own;
  ASSERT_TRUE(other.ok());
  const auto info =
      other->Run(With("test -e /again && { echo lasting; exec sleep 1000; }; touch /again; exit 1",
                      {Kind::kOnFailure, 0}));
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  AwaitRestarted(info->id, "lasting");
}

TEST_F(Policy, AfterARebootWhatRanIsStarted) {
  struct Row {
    Kind kind;
    bool stopped;
    bool runs;
  };
  for (const Row& row : {Row{Kind::kNo, false, false}, Row{Kind::kOnFailure, false, true},
                         Row{Kind::kUnlessStopped, false, true}, Row{Kind::kAlways, false, true},
                         Row{Kind::kUnlessStopped, true, false}, Row{Kind::kAlways, true, true}}) {
    const ContainerInfo info = Start(With("echo up; exec sleep 1000", {row.kind, 0}));
    if (row.stopped) {
      ASSERT_TRUE(runtime().Stop(info.id, {.grace = milliseconds(0)}).ok());
    }
    runtime_.reset();
    if (!row.stopped) {
      const auto monitor = Record(info.id).Get("monitor").GetInt("pid");
      ASSERT_EQ(kill(static_cast<pid_t>(*monitor), SIGKILL), 0);
    }
    ASSERT_NO_FATAL_FAILURE(ForgetBoot(info.id));
    Reopen();
    const std::string label =
        RestartPolicy{row.kind, 0}.ToString() + (row.stopped ? " stopped" : "");
    if (row.runs) {
      const ContainerInfo now = Await(info.id, [](const ContainerInfo& seen) {
        return seen.state == ContainerState::kRunning;
      });
      EXPECT_NE(now.pid, info.pid) << label;
      EXPECT_EQ(now.restart_count, 1) << label;
    } else {
      const auto now = runtime().Inspect(info.id);
      EXPECT_EQ(now->state, ContainerState::kExited) << label;
      EXPECT_FALSE(now->next_restart.has_value()) << label;
      if (!row.stopped) {
        EXPECT_EQ(now->exit->code, -1) << label;
        EXPECT_EQ(now->exit->error, "host restarted") << label;
      }
    }
    ASSERT_TRUE(runtime().Remove(info.id, /*force=*/true).ok());
  }
}

}  // namespace
}  // namespace minibox::testing
