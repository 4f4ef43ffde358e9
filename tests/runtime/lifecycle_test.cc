// SPDX-License-Identifier: Apache-2.0
// Start, stop, kill, wait, remove, logs, and several handles at once.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/synchronization/notification.h"
#include "core/root_dir.h"
#include "runtime/dir_watch.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

class Lifecycle : public RuntimeTest {};

constexpr const char* kTrap =
    "trap 'echo got TERM; exit 3' TERM; echo ready; "
    "while :; do sleep 1000 & wait; done";
constexpr const char* kStubborn = "trap '' TERM; echo ready; while :; do sleep 1000 & wait; done";

TEST_F(Lifecycle, StopOfAnUnhandledSignalRecords143) {
  const ContainerInfo info = Start(Shell("echo ready; exec sleep 1000"));
  EXPECT_EQ(info.state, ContainerState::kRunning);
  EXPECT_GT(info.pid, 0);
  const auto stopped = runtime().Stop(info.id);
  ASSERT_TRUE(stopped.ok()) << stopped.status().ToString();
  EXPECT_EQ(*stopped, StopResult::kStopped);
  const auto after = runtime().Inspect(info.id);
  EXPECT_EQ(after->state, ContainerState::kExited);
  EXPECT_EQ(after->exit->code, 143);
  EXPECT_EQ(after->exit->signal, SIGTERM);
  EXPECT_EQ(after->pid, 0);
  EXPECT_EQ(*runtime().Stop(info.id), StopResult::kNotRunning);
}

TEST_F(Lifecycle, StopLetsTheWorkloadEndByItself) {
  const ContainerInfo info = Start(Shell(kTrap));
  AwaitLog(info.id, "ready");
  EXPECT_EQ(*runtime().Stop(info.id), StopResult::kStopped);
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 3);
  EXPECT_EQ(Log(info.id), "ready\ngot TERM\n");
}

TEST_F(Lifecycle, StopKillsWhenTimeIsUp) {
  const ContainerInfo info = Start(Shell(kStubborn));
  AwaitLog(info.id, "ready");
  EXPECT_EQ(*runtime().Stop(info.id, {.grace = milliseconds(100)}), StopResult::kKilled);
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 137);
}

TEST_F(Lifecycle, StopWithoutGraceKillsAtOnce) {
  const ContainerInfo info = Start(Shell(kTrap));
  AwaitLog(info.id, "ready");
  EXPECT_EQ(*runtime().Stop(info.id, {.grace = milliseconds(0)}), StopResult::kKilled);
  EXPECT_EQ(Log(info.id), "ready\n");
}

TEST_F(Lifecycle, StopUsesTheSignalOfRequestThenContainer) {
  ContainerSpec spec = Shell(
      "trap 'exit 4' INT; trap 'exit 5' HUP; echo ready; "
      "while :; do sleep 1000 & wait; done");
  spec.stop_signal = "SIGINT";
  const ContainerInfo first = Start(spec), second = Start(spec);
  AwaitLog(first.id, "ready");
  AwaitLog(second.id, "ready");
  ASSERT_TRUE(runtime().Stop(first.id).ok());
  ASSERT_TRUE(runtime().Stop(second.id, {.signal = SIGHUP}).ok());
  EXPECT_EQ(runtime().Inspect(first.id)->exit->code, 4);
  EXPECT_EQ(runtime().Inspect(second.id)->exit->code, 5);
}

TEST_F(Lifecycle, KillReachesEveryProcess) {
  const ContainerInfo info = Start(Shell("setsid sleep 1000 & echo ready; sleep 1000"));
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 137);
  EXPECT_EQ(runtime().Kill(info.id).reason(), "container_not_running");
}

TEST_F(Lifecycle, KillIsNotHeldUpByAStop) {
  const ContainerInfo info = Start(Shell(kStubborn));
  AwaitLog(info.id, "ready");
  std::thread stopper([&] {
    const auto stopped = runtime().Stop(info.id, {.grace = std::chrono::minutes(10)});
    EXPECT_TRUE(stopped.ok()) << stopped.status().ToString();
  });
  EXPECT_TRUE(runtime().Kill(info.id).ok());
  stopper.join();
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 137);
}

TEST_F(Lifecycle, OtherSignalsGoToTheWorkload) {
  const ContainerInfo info =
      Start(Shell("trap 'echo usr1' USR1; echo ready; "
                  "while :; do sleep 1000 & wait; done"));
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Kill(info.id, SIGUSR1).ok());
  AwaitLog(info.id, "usr1");
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  EXPECT_EQ(runtime().Kill(info.id, 99).field(), "signal");
}

TEST_F(Lifecycle, WaitGivesTheTrueStatus) {
  const ContainerInfo info = Start(Shell("exit 42"));
  const auto exit = runtime().Wait(info.id);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, 42);
  // Recorded before it is told.
  EXPECT_EQ(*Record(info.id).GetString("status"), "exited");
  EXPECT_EQ(*Record(info.id).GetInt("exit_code"), 42);
  EXPECT_EQ(runtime().Wait(info.id)->code, 42);
}

TEST_F(Lifecycle, WaitForACreatedContainerLastsUntilItHasRun) {
  const auto created = runtime().Create(Shell("exit 5"));
  ASSERT_TRUE(created.ok()) << created.status().ToString();
  EXPECT_EQ(created->state, ContainerState::kCreated);
  std::thread waiter([&] { EXPECT_EQ(runtime().Wait(created->id)->code, 5); });
  ASSERT_TRUE(runtime().Start(created->id).ok());
  waiter.join();
}

TEST_F(Lifecycle, WaitCanBeCalledOff) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  std::stop_source stop;
  std::thread waiter([&] {
    EXPECT_EQ(runtime().Wait(info.id, stop.get_token()).status().code(), StatusCode::kCancelled);
  });
  stop.request_stop();
  waiter.join();
}

TEST_F(Lifecycle, SecondStartKeepsFilesAndAppendsToTheLog) {
  const ContainerInfo first = Start(Shell("echo run >> /runs; cat /runs; exec sleep 1000"));
  AwaitLog(first.id, "run\n");
  EXPECT_EQ(runtime().Start(first.id).status().reason(), "container_running");
  ASSERT_TRUE(runtime().Kill(first.id).ok());
  const auto second = runtime().Start(first.id);
  ASSERT_TRUE(second.ok()) << second.status().ToString();
  EXPECT_EQ(second->id, first.id);
  EXPECT_NE(second->pid, first.pid);
  EXPECT_FALSE(second->exit.has_value());
  EXPECT_EQ(second->created, first.created);
  AwaitLog(first.id, "run\nrun\nrun\n");
  ASSERT_TRUE(runtime().Stop(first.id).ok());
  EXPECT_EQ(Log(first.id), "run\nrun\nrun\n");
}

TEST_F(Lifecycle, FailedStartOfAnOldContainerLeavesItWithTheReason) {
  ContainerSpec spec = Shell("true");
  spec.command = {"/data/script"};
  const auto created = runtime().Create(spec);
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(runtime().Start(created->id).status().reason(), "command_not_found");
  const auto after = runtime().Inspect(created->id);
  EXPECT_EQ(after->state, ContainerState::kCreated);
  EXPECT_NE(after->error, "");
  EXPECT_FALSE(after->started.has_value());
}

TEST_F(Lifecycle, OneOfTwoConcurrentStartsWins) {
  const auto created = runtime().Create(Shell("exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  std::atomic<int> started = 0, refused = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto info = runtime().Start(created->id);
      if (info.ok()) ++started;
      if (info.status().reason() == "container_running") ++refused;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(started, 1);
  EXPECT_EQ(refused, 3);
}

TEST_F(Lifecycle, RemoveDeletesEverything) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  EXPECT_EQ(runtime().Remove(info.id).reason(), "container_running");
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  ASSERT_TRUE(runtime().Remove(info.id, /*force=*/true).ok());
  EXPECT_EQ(runtime().Inspect(info.id).status().reason(), "container_not_found");
  EXPECT_EQ(runtime().Remove(info.id).reason(), "container_not_found");
  EXPECT_EQ(runtime().Start(info.id).status().reason(), "container_not_found");
  ExpectNothingLeft();
}

TEST_F(Lifecycle, RemoveOnExitLeavesNothing) {
  ContainerSpec spec = Shell("exit 6");
  spec.remove_on_exit = true;
  RunShell(spec, 6);
  ExpectNothingLeft();
  spec.command = {"sleep", "1000"};
  const ContainerInfo info = Start(spec);
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  ExpectNothingLeft();
}

TEST_F(Lifecycle, FindTakesIdThenNameThenPrefix) {
  ContainerSpec spec = Shell("true");
  spec.name = "web";
  const auto web = runtime().Create(spec);
  spec.name = "twin";
  const auto twin = runtime().Create(spec), other = runtime().Create(spec);
  ASSERT_TRUE(web.ok() && twin.ok() && other.ok());
  EXPECT_EQ(*runtime().Find(web->id.ToString()), web->id);
  EXPECT_EQ(*runtime().Find("web"), web->id);
  EXPECT_EQ(*runtime().Find(web->id.ToString().substr(0, 7)), web->id);
  EXPECT_EQ(runtime().Find("twin").status().reason(), "ambiguous_name");
  EXPECT_EQ(runtime().Find("nobody").status().reason(), "container_not_found");
  EXPECT_EQ(runtime().Find("a/b").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime().List()->size(), 3u);

  spec.name = "web";
  spec.unique_name = true;
  EXPECT_EQ(runtime().Create(spec).status().reason(), "name_in_use");
}

TEST_F(Lifecycle, ForegroundIsKilledWhenTheSinkFails) {
  ContainerId id = *ContainerId::Parse("00000000");
  const auto exit = runtime().RunForeground(
      Shell("yes"), [](const OutputChunk&) { return Status(StatusCode::kAborted, "gone"); },
      {.started = [&](const ContainerInfo& info) { id = info.id; }});
  EXPECT_EQ(exit.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(runtime().Inspect(id)->exit->code, 137);
}

TEST_F(Lifecycle, ForegroundIsKilledWhenStopIsRequested) {
  std::stop_source stop;
  ContainerId id = *ContainerId::Parse("00000000");
  const auto exit = runtime().RunForeground(
      Shell("echo ready; sleep 1000"),
      [&](const OutputChunk&) {
        stop.request_stop();
        return Status();
      },
      {.started = [&](const ContainerInfo& info) { id = info.id; }}, stop.get_token());
  EXPECT_EQ(exit.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(runtime().Inspect(id)->exit->code, 137);
}

TEST_F(Lifecycle, ForegroundGoesOnDetachedIfKept) {
  std::stop_source stop;
  ContainerId id = *ContainerId::Parse("00000000");
  ContainerSpec spec =
      Shell("echo one; while ! test -e /go/on; do usleep 10000; done; seq 1 20000; exit 9");
  scratch_.Write("go/README", "");
  spec.mounts = {{Mount::Kind::kBind, scratch_ / "go", "/go", ""}};
  const auto exit = runtime().RunForeground(
      spec,
      [&](const OutputChunk&) {
        stop.request_stop();
        return Status();
      },
      {.on_disconnect = OnDisconnect::kKeep,
       .started = [&](const ContainerInfo& info) { id = info.id; }},
      stop.get_token());
  EXPECT_EQ(exit.status().code(), StatusCode::kCancelled);
  EXPECT_EQ(runtime().Inspect(id)->state, ContainerState::kRunning);
  scratch_.Write("go/on", "");
  EXPECT_EQ(runtime().Wait(id)->code, 9);
  EXPECT_THAT(Log(id), ::testing::EndsWith("\n19999\n20000\n"));
}

TEST_F(Lifecycle, ASlowSinkLosesNothing) {
  size_t bytes = 0;
  const auto exit = runtime().RunForeground(Shell("dd if=/dev/zero bs=64k count=64 2>/dev/null"),
                                            [&](const OutputChunk& chunk) {
                                              bytes += chunk.bytes.size();
                                              return Status();
                                            });
  ASSERT_TRUE(exit.ok());
  EXPECT_EQ(bytes, 64u * 65536);
}

TEST_F(Lifecycle, FollowEndsWithTheExitOrWithTheContainer) {
  const ContainerInfo info = Start(Shell("echo one; exec sleep 1000"));
  absl::Notification seen;
  std::string until_exit, until_removed;
  std::thread first([&] { until_exit = Log(info.id, {.follow = true, .until_exit = true}); });
  std::thread second([&] {
    const Status read =
        runtime().ReadLogs(info.id, {.follow = true}, [&](const OutputChunk& chunk) {
          until_removed += chunk.bytes;
          if (until_removed == "one\none\n") seen.Notify();
          return Status();
        });
    EXPECT_TRUE(read.ok()) << read.ToString();
  });
  AwaitLog(info.id, "one");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  first.join();
  EXPECT_EQ(until_exit, "one\n");
  ASSERT_TRUE(runtime().Start(info.id).ok());
  seen.WaitForNotification();
  ASSERT_TRUE(runtime().Remove(info.id, true).ok());
  second.join();
  EXPECT_EQ(until_removed, "one\none\n");
}

TEST_F(Lifecycle, TailCountsLines) {
  const Output output = RunShell(Shell("seq 1 100"));
  EXPECT_EQ(Log(output.id, {.tail_lines = 2}), "99\n100\n");
  EXPECT_EQ(Log(output.id, {.tail_lines = 0}), "");
}

TEST_F(Lifecycle, AnotherHandleSeesTheSame) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  auto other = OpenAnother();
  ASSERT_TRUE(other.ok()) << other.status().ToString();
  EXPECT_EQ(other->Inspect(info.id)->state, ContainerState::kRunning);
  EXPECT_EQ(other->Inspect(info.id)->pid, info.pid);
  EXPECT_EQ(*other->Stop(info.id), StopResult::kStopped);
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 143);
  ASSERT_TRUE(other->Start(info.id).ok());
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  EXPECT_EQ(other->Inspect(info.id)->exit->code, 137);
}

TEST_F(Lifecycle, AggregateFollows) {
  ContainerSpec spec = Shell("exit 3");
  spec.name = "shown";
  const Output output = RunShell(spec, 3);
  // At the end of the handle at the latest; nobody has to wait for the delay here.
  Reopen();
  const auto state = json::Parse(ReadWholeFile(DataPath("state.json")));
  ASSERT_TRUE(state.ok()) << state.status().ToString();
  const json::Value info = state->Get(output.id.ToString());
  EXPECT_EQ(*info.GetString("name"), "shown");
  EXPECT_EQ(*info.GetString("status"), "exited");
  EXPECT_EQ(*info.GetInt("exit_code"), 3);
  struct stat st;
  ASSERT_EQ(stat(DataPath("state.json").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
}

TEST_F(Lifecycle, AggregateFollowsWithoutBeingAsked) {
  const auto root = core::RootDir::Open(root_ + "/data");
  ASSERT_TRUE(root.ok());
  auto watch = runtime::DirWatch::Create(root->fd());
  ASSERT_TRUE(watch.ok());
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  const auto begin = std::chrono::steady_clock::now();
  while (!root->Exists("state.json") ||
         root->ReadFile("state.json", 1u << 20)->find("\"running\"") == std::string::npos) {
    ASSERT_TRUE(watch->Wait({}).ok());
    ASSERT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
  }
}

TEST_F(Lifecycle, RecordsAreForTheirOwnerOnly) {
  const Output output = RunShell(Shell("true"));
  const std::string dir = DataPath("containers/" + output.id.ToString());
  struct stat st;
  ASSERT_EQ(stat(dir.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  for (const char* name : {"/config.json", "/state.json", "/container.log", "/exit.json"}) {
    ASSERT_EQ(stat((dir + name).c_str(), &st), 0) << name;
    EXPECT_EQ(st.st_mode & 07777, 0600u) << name;
  }
}

}  // namespace
}  // namespace minibox::testing
