// SPDX-License-Identifier: Apache-2.0
// Pause, restart, rename, update, wait with conditions, prune; what is kept of the log.
#include <gmock/gmock.h>
#include <signal.h>

#include <fstream>
#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int64_t kMiB = 1 << 20;

class Operations : public RuntimeTest {
 protected:
  // By its name on version 1 or, where there is no such file, on version 2.
  std::string Control(const ContainerId& id, const std::string& v1, const std::string& v2) {
    const std::string text = CgroupFile(id, v1);
    return text.empty() ? CgroupFile(id, v2) : text;
  }
  bool IsFrozen(const ContainerId& id) {
    const std::string state = Control(id, "freezer.state", "cgroup.freeze");
    return state == "FROZEN" || state == "1";
  }
  ContainerInfo StartSleeper() {
    const ContainerInfo info = Start(Shell("echo ready; exec sleep 1000"));
    AwaitLog(info.id, "ready");
    return info;
  }
};

TEST_F(Operations, PauseFreezesAndUnpauseGoesOn) {
  const ContainerInfo info = StartSleeper();
  ASSERT_TRUE(runtime().Pause(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kPaused);
  EXPECT_EQ(runtime().Inspect(info.id)->pid, info.pid);
  EXPECT_TRUE(IsFrozen(info.id));
  EXPECT_EQ(runtime().Pause(info.id).reason(), "container_paused");
  EXPECT_EQ(runtime().Start(info.id).status().reason(), "container_running");
  ASSERT_TRUE(runtime().Unpause(info.id).ok());
  EXPECT_FALSE(IsFrozen(info.id));
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  EXPECT_EQ(runtime().Unpause(info.id).reason(), "container_running");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  EXPECT_EQ(runtime().Pause(info.id).reason(), "container_not_running");
  EXPECT_EQ(runtime().Unpause(info.id).reason(), "container_not_running");
}

TEST_F(Operations, APausedContainerCanBeStoppedKilledRemovedAndRestarted) {
  const ContainerInfo stopped = Start(
      Shell("trap 'echo got TERM; exit 3' TERM; echo ready; while :; do sleep 1000 & wait; done"));
  AwaitLog(stopped.id, "ready");
  ASSERT_TRUE(runtime().Pause(stopped.id).ok());
  EXPECT_EQ(*runtime().Stop(stopped.id), StopResult::kStopped);
  EXPECT_EQ(runtime().Inspect(stopped.id)->exit->code, 3);

  const ContainerInfo killed = StartSleeper();
  ASSERT_TRUE(runtime().Pause(killed.id).ok());
  ASSERT_TRUE(runtime().Kill(killed.id).ok());
  EXPECT_EQ(runtime().Inspect(killed.id)->exit->code, 137);

  const ContainerInfo removed = StartSleeper();
  ASSERT_TRUE(runtime().Pause(removed.id).ok());
  EXPECT_EQ(runtime().Remove(removed.id).reason(), "container_running");
  EXPECT_TRUE(runtime().Remove(removed.id, /*force=*/true).ok());

  const ContainerInfo again = StartSleeper();
  ASSERT_TRUE(runtime().Pause(again.id).ok());
  const auto restarted = runtime().Restart(again.id, {.grace = milliseconds(0)});
  ASSERT_TRUE(restarted.ok()) << restarted.status().ToString();
  EXPECT_EQ(restarted->state, ContainerState::kRunning);
  EXPECT_NE(restarted->pid, again.pid);
}

TEST_F(Operations, TheTimeOfAPausedContainerRunsOut) {
  ContainerSpec spec = Shell("exec sleep 1000");
  bool paused = false;
  // A machine may be so busy that it is over before it is paused.
  for (spec.timeout = milliseconds(500); !paused; spec.timeout *= 2) {
    const ContainerInfo info = Start(spec);
    paused = runtime().Pause(info.id).ok();
    const auto exit = runtime().Wait(info.id);
    ASSERT_TRUE(exit.ok()) << exit.status().ToString();
    EXPECT_EQ(exit->code, 137);
    EXPECT_EQ(exit->error, "timeout");
    EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kExited);
  }
}

TEST_F(Operations, APauseSurvivesTheProcessThatMadeIt) {
  const ContainerInfo info = StartSleeper();
  ASSERT_TRUE(runtime().Pause(info.id).ok());
  Reopen();
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kPaused);
  EXPECT_TRUE(IsFrozen(info.id));
  ASSERT_TRUE(runtime().Unpause(info.id).ok());
}

TEST_F(Operations, APauseThatWasCutShortIsUndone) {
  const ContainerInfo info = StartSleeper();
  runtime_.reset();
  const std::string group = "/mbxtest-runtime/minibox/" + info.id.ToString();
  if (access("/sys/fs/cgroup/freezer", F_OK) == 0) {
    std::ofstream("/sys/fs/cgroup/freezer" + group + "/freezer.state") << "FROZEN";
  } else {
    std::ofstream("/sys/fs/cgroup" + group + "/cgroup.freeze") << "1";
  }
  Reopen();
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  EXPECT_FALSE(IsFrozen(info.id));
}

TEST_F(Operations, RestartStopsGentlyAndKeepsFilesAndLog) {
  const ContainerInfo info =
      Start(Shell("cat /seen 2>/dev/null; echo once > /seen; trap 'echo bye; exit 0' TERM; "
                  "echo ready; while :; do sleep 1000 & wait; done"));
  AwaitLog(info.id, "ready");
  const auto restarted = runtime().Restart(info.id);
  ASSERT_TRUE(restarted.ok()) << restarted.status().ToString();
  EXPECT_EQ(restarted->id, info.id);
  EXPECT_EQ(restarted->restart_count, 0);
  AwaitLog(info.id, "ready\nbye\nonce\nready\n");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  // One that does not run is started.
  ASSERT_TRUE(runtime().Restart(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  const auto created = runtime().Create(Shell("exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  EXPECT_TRUE(runtime().Restart(created->id).ok());
}

TEST_F(Operations, RenameMovesNameHostNameAndLookup) {
  ContainerSpec spec = Shell("echo $(hostname) $HOSTNAME; exec sleep 1000");
  spec.name = "before";
  const ContainerInfo info = Start(spec);
  const ContainerInfo other = Start([] {
    ContainerSpec taken = Shell("exec sleep 1000");
    taken.name = "taken";
    return taken;
  }());
  AwaitLog(info.id, "before before\n");
  EXPECT_EQ(runtime().Rename(info.id, "taken").reason(), "name_in_use");
  EXPECT_EQ(runtime().Rename(info.id, "-no").field(), "name");
  EXPECT_EQ(*runtime().Find("before"), info.id);
  ASSERT_TRUE(runtime().Rename(info.id, "after").ok());
  EXPECT_TRUE(runtime().Rename(info.id, "after").ok());
  EXPECT_EQ(*runtime().Find("after"), info.id);
  EXPECT_EQ(runtime().Find("before").status().reason(), "container_not_found");
  EXPECT_EQ(*runtime().Find("taken"), other.id);
  ASSERT_TRUE(runtime().Restart(info.id, {.grace = milliseconds(0)}).ok());
  AwaitLog(info.id, "after after\n");
}

TEST_F(Operations, RenameLeavesAChosenHostName) {
  ContainerSpec spec = Shell("hostname; exec sleep 1000");
  spec.hostname = "chosen";
  const auto created = runtime().Create(spec);
  ASSERT_TRUE(created.ok());
  ASSERT_TRUE(runtime().Rename(created->id, "after").ok());
  ASSERT_TRUE(runtime().Start(created->id).ok());
  AwaitLog(created->id, "chosen\n");
}

TEST_F(Operations, UpdateIsInForceAtOnceAndAfterARestart) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.resources.memory_bytes = 64 * kMiB;
  const ContainerInfo info = Start(spec);
  ContainerUpdate update;
  update.memory_bytes = 128 * kMiB;
  update.cpu_quota_us = 50000;
  update.pids = 77;
  update.cpuset = "0";
  for (const bool restarted : {false, true}) {
    if (restarted) {
      ASSERT_TRUE(runtime().Restart(info.id, {.grace = milliseconds(0)}).ok());
    } else {
      const Status updated = runtime().Update(info.id, update);
      ASSERT_TRUE(updated.ok()) << updated.ToString();
    }
    EXPECT_EQ(Control(info.id, "memory.limit_in_bytes", "memory.max"), std::to_string(128 * kMiB));
    // Both together; swap alone.
    EXPECT_THAT(Control(info.id, "memory.memsw.limit_in_bytes", "memory.swap.max"),
                AnyOf(std::to_string(128 * kMiB), "0"));
    EXPECT_THAT(Control(info.id, "cpu.cfs_quota_us", "cpu.max"), AnyOf("50000", "50000 100000"));
    EXPECT_EQ(CgroupFile(info.id, "pids.max"), "77");
    EXPECT_EQ(CgroupFile(info.id, "cpuset.cpus"), "0");
  }
  ContainerUpdate removal;
  removal.memory_bytes = removal.cpu_quota_us = removal.pids = -1;
  removal.cpuset = "-1";
  ASSERT_TRUE(runtime().Update(info.id, removal).ok());
  EXPECT_THAT(Control(info.id, "cpu.cfs_quota_us", "cpu.max"), AnyOf("-1", "max 100000"));
  EXPECT_EQ(CgroupFile(info.id, "pids.max"), "max");
  const std::string memory = Control(info.id, "memory.limit_in_bytes", "memory.max");
  EXPECT_TRUE(memory == "max" || std::stoull(memory) > uint64_t{1} << 60) << memory;
}

TEST_F(Operations, UpdateIsAllOrNothing) {
  ContainerSpec spec =
      Shell("head -c 20000000 /dev/zero > /dev/shm/a; echo ready; exec sleep 1000");
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  const std::string before = CgroupFile(info.id, "pids.max");
  ContainerUpdate update;
  update.pids = 55;
  update.memory_bytes = 10 * kMiB;  // less than is in use
  const Status refused = runtime().Update(info.id, update);
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused.ToString();
  EXPECT_EQ(refused.field(), "memory");
  EXPECT_EQ(CgroupFile(info.id, "pids.max"), before);
  for (const auto& [bad, field] :
       {std::pair(ContainerUpdate{.memory_bytes = 100}, "memory"),
        std::pair(ContainerUpdate{.memory_swap_bytes = 64 * kMiB}, "memory_swap"),
        std::pair(ContainerUpdate{.cpu_quota_us = 5}, "cpu"),
        std::pair(ContainerUpdate{.pids = 0}, "pids_limit"),
        std::pair(ContainerUpdate{.io_weight = 1001}, "io_weight"),
        std::pair(ContainerUpdate{.cpuset = "9999"}, "cpuset")}) {
    const Status status = runtime().Update(info.id, bad);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << field;
    EXPECT_EQ(status.field(), field);
  }
  // Nothing of it was kept for the next start either.
  ASSERT_TRUE(runtime().Restart(info.id, {.grace = milliseconds(0)}).ok());
  EXPECT_EQ(CgroupFile(info.id, "pids.max"), before);
}

TEST_F(Operations, UpdateOfTheRestartPolicy) {
  ContainerSpec spec = Shell("exec sleep 1000");
  spec.remove_on_exit = true;
  const ContainerInfo transient = Start(spec);
  ContainerUpdate update;
  update.restart = RestartPolicy{RestartPolicy::Kind::kAlways, 0};
  EXPECT_EQ(runtime().Update(transient.id, update).field(), "restart");
  const ContainerInfo info = StartSleeper();
  ASSERT_TRUE(runtime().Update(info.id, update).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->restart.ToString(), "always");
  Reopen();
  EXPECT_EQ(runtime().Inspect(info.id)->restart.ToString(), "always");
}

TEST_F(Operations, WaitForConditions) {
  const ContainerInfo info = Start(Shell("echo ready; exec sleep 1000"));
  const auto late = runtime().WaitFor(info.id, {.timeout = milliseconds(1)});
  EXPECT_EQ(late.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(late.status().reason(), "timeout");
  EXPECT_EQ(
      runtime()
          .WaitFor(info.id, {.condition = WaitCondition::kRemoved, .timeout = milliseconds(1)})
          .status()
          .reason(),
      "timeout");
  EXPECT_EQ(runtime().WaitFor(info.id, {.condition = WaitCondition::kHealthy}).status().field(),
            "condition");
  std::thread exited([&] {
    const auto waited = runtime().WaitFor(info.id, {});
    ASSERT_TRUE(waited.ok()) << waited.status().ToString();
    EXPECT_EQ(waited->state, ContainerState::kExited);
    EXPECT_EQ(waited->exit->code, 137);
  });
  std::thread removed([&] {
    const auto waited = runtime().WaitFor(info.id, {.condition = WaitCondition::kRemoved});
    ASSERT_TRUE(waited.ok()) << waited.status().ToString();
    EXPECT_EQ(waited->state, ContainerState::kRemoving);
    EXPECT_EQ(waited->exit->code, 137);
  });
  AwaitLog(info.id, "ready");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  exited.join();
  ASSERT_TRUE(runtime().Remove(info.id).ok());
  removed.join();
  EXPECT_EQ(runtime().WaitFor(info.id, {}).status().reason(), "container_not_found");
}

TEST_F(Operations, PruneTakesWhatRestsAndMatches) {
  const ContainerInfo running = StartSleeper();
  ContainerSpec spec = Shell("head -c 1000000 /dev/zero > /big");
  spec.labels = {{"tier", "test"}};
  const ContainerInfo ended = Start(spec);
  ASSERT_TRUE(runtime().Wait(ended.id).ok());
  const auto created = runtime().Create(Shell("exit 0"));
  ASSERT_TRUE(created.ok());

  EXPECT_TRUE(runtime().Prune({.labels = {"tier=other"}})->removed.empty());
  EXPECT_TRUE(runtime().Prune({.until = ended.created})->removed.empty());
  auto report = runtime().Prune({.dry_run = true, .labels = {"tier"}});
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->removed, std::vector<ContainerId>{ended.id});
  EXPECT_GE(report->bytes_freed, 1000000u);
  EXPECT_TRUE(runtime().Inspect(ended.id).ok());
  report = runtime().Prune({.labels = {"tier=test"}});
  EXPECT_EQ(report->removed, std::vector<ContainerId>{ended.id});
  EXPECT_EQ(runtime().Inspect(ended.id).status().reason(), "container_not_found");
  report = runtime().Prune({});
  EXPECT_EQ(report->removed, std::vector<ContainerId>{created->id});
  EXPECT_EQ(runtime().Inspect(running.id)->state, ContainerState::kRunning);
}

TEST_F(Operations, TheLogIsRotatedAtItsSizeAndKeptInSoManyFiles) {
  ContainerSpec spec = Shell(
      "i=0; while [ $i -lt 30 ]; do head -c 99999 /dev/zero; echo; "
      "i=$((i+1)); done");
  spec.log_max_bytes = 1 * kMiB;
  spec.log_max_files = 2;
  const ContainerInfo info = Start(spec);
  ASSERT_TRUE(runtime().Wait(info.id).ok());
  const auto size = [&](const std::string& name) {
    return ReadWholeFile(DataPath("containers/" + info.id.ToString() + "/" + name)).size();
  };
  EXPECT_LE(size("container.log"), static_cast<size_t>(kMiB));
  EXPECT_GT(size("container.log.1"), static_cast<size_t>(kMiB) / 2);
  EXPECT_LE(size("container.log.1"), static_cast<size_t>(kMiB));
  EXPECT_EQ(size("container.log.2"), 0u);
  spec.log_max_bytes = 0;
  const ContainerInfo all = Start(spec);
  ASSERT_TRUE(runtime().Wait(all.id).ok());
  EXPECT_EQ(ReadWholeFile(DataPath("containers/" + all.id.ToString() + "/container.log")).size(),
            3'000'000u);
}

TEST_F(Operations, LinesOfTheLogBeginWithTheTime) {
  ContainerSpec spec = Shell(
      "printf 'one\\n\\ntwo'; echo three >&2; head -c 20000 /dev/zero | "
      "tr '\\0' x; echo");
  spec.log_timestamps = true;
  const ContainerInfo info = Start(spec);
  ASSERT_TRUE(runtime().Wait(info.id).ok());
  ASSERT_TRUE(runtime().Start(info.id).ok());
  ASSERT_TRUE(runtime().Wait(info.id).ok());
  std::istringstream log(Log(info.id));
  size_t lines = 0;
  for (std::string line; std::getline(log, line); ++lines) {
    // 2026-01-02T03:04:05.123456789Z and a blank
    ASSERT_GE(line.size(), 31u) << line;
    EXPECT_EQ(line.substr(19, 1) + line.substr(29, 2), ".Z ") << line.substr(0, 40);
  }
  EXPECT_GE(lines, 8u);
}

}  // namespace
}  // namespace minibox::testing
