// SPDX-License-Identifier: Apache-2.0
// A runtime that is gone changes nothing for its containers, and leaves nothing that the next
// one does not find.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "core/failpoint.h"
#include "core/file_lock.h"
#include "core/root_dir.h"
#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;
constexpr int kMaxSteps = 300;

class Recovery : public RuntimeTest {
 protected:
  // Changes a key of state.json, as time or accidents do.
  void EditRecord(const ContainerId& id, const std::string& from, const std::string& to) {
    const std::string path = DataPath("containers/" + id.ToString() + "/state.json");
    std::string text = ReadWholeFile(path);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << text;
    std::ofstream(path, std::ios::binary) << text.replace(at, from.size(), to);
  }
};

TEST_F(Recovery, RunningContainersAreAdopted) {
  const ContainerInfo info = Start(Shell("echo one; read line; echo two"));
  AwaitLog(info.id, "one");
  Reopen();
  // Its stdin is empty, so it ends, before or after it is adopted.
  const ContainerInfo adopted =
      Await(info.id, [](const ContainerInfo& now) { return now.state == ContainerState::kExited; });
  EXPECT_EQ(adopted.exit->code, 0);
  const ContainerInfo sleeper = Start(Shell("exec sleep 1000"));
  Reopen();
  EXPECT_EQ(runtime().Inspect(sleeper.id)->state, ContainerState::kRunning);
  EXPECT_EQ(runtime().Inspect(sleeper.id)->pid, sleeper.pid);
  EXPECT_EQ(*runtime().Stop(sleeper.id), StopResult::kStopped);
  EXPECT_EQ(runtime().Inspect(sleeper.id)->exit->code, 143);
}

TEST_F(Recovery, ExitsWithoutARuntimeAreTakenOverWithTheirCode) {
  ContainerSpec spec = Shell("while ! test -e /go/on; do usleep 10000; done; exit 11");
  scratch_.Write("go/README", "");
  spec.mounts = {{Mount::Kind::kBind, scratch_ / "go", "/go", ""}};
  const ContainerInfo info = Start(spec);
  const std::string dir = DataPath("containers/" + info.id.ToString());
  const auto root = core::RootDir::Open(dir);
  ASSERT_TRUE(root.ok());
  {
    // Nobody can record the exit while the lock is held, so the record still says "running".
    runtime_.reset();
    scratch_.Write("go/on", "");
    while (!root->Exists("exit.json")) std::this_thread::yield();
    EXPECT_EQ(*Record(info.id).GetString("status"), "running");
  }
  Reopen();
  const auto after = runtime().Inspect(info.id);
  EXPECT_EQ(after->state, ContainerState::kExited);
  EXPECT_EQ(after->exit->code, 11);
  EXPECT_EQ(*Record(info.id).GetString("status"), "exited");
}

TEST_F(Recovery, RemoveOnExitTakesEffectLater) {
  ContainerSpec spec = Shell("while ! test -e /go/on; do usleep 10000; done");
  spec.remove_on_exit = true;
  scratch_.Write("go/README", "");
  spec.mounts = {{Mount::Kind::kBind, scratch_ / "go", "/go", ""}};
  const ContainerInfo info = Start(spec);
  const auto root = core::RootDir::Open(DataPath("containers/" + info.id.ToString()));
  ASSERT_TRUE(root.ok());
  runtime_.reset();
  scratch_.Write("go/on", "");
  while (!root->Exists("exit.json")) std::this_thread::yield();
  Reopen();
  EXPECT_EQ(runtime().List()->size(), 0u);
}

TEST_F(Recovery, RebootMeansCodeMinusOne) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  runtime_.reset();
  // What a reboot leaves: the record of a run of another boot, and nothing of the run.
  const json::Value record = Record(info.id);
  kill(info.pid, SIGKILL);
  const std::string dir = DataPath("containers/" + info.id.ToString());
  while (!fs::exists(dir + "/exit.json")) std::this_thread::yield();
  fs::remove(dir + "/exit.json");
  EditRecord(info.id, *record.GetString("boot_id"), "another-boot");
  Reopen();
  const auto after = runtime().Inspect(info.id);
  EXPECT_EQ(after->state, ContainerState::kExited);
  EXPECT_EQ(after->exit->code, -1);
  EXPECT_EQ(after->exit->error, "host restarted");
  EXPECT_TRUE(runtime().Start(info.id).ok());
}

TEST_F(Recovery, DamagedRecordDoesNotAffectOthers) {
  const auto first = runtime().Create(Shell("true")), second = runtime().Create(Shell("true"));
  ASSERT_TRUE(first.ok() && second.ok());
  const std::string path = DataPath("containers/" + first->id.ToString() + "/state.json");
  std::ofstream(path, std::ios::trunc) << "{\"half";
  EXPECT_EQ(runtime().Inspect(first->id).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(runtime().List()->size(), 1u);
  Reopen();
  EXPECT_EQ(ReadWholeFile(path + ".corrupt"), "{\"half");
  EXPECT_EQ(runtime().List()->size(), 2u);
  EXPECT_TRUE(runtime().Start(first->id).ok());
}

TEST_F(Recovery, InterruptedRemovalIsFinished) {
  const auto info = runtime().Create(Shell("true"));
  ASSERT_TRUE(info.ok());
  EditRecord(info->id, "\"created\"", "\"removing\"");
  Reopen();
  EXPECT_EQ(runtime().List()->size(), 0u);
}

TEST_F(Recovery, ContainerThatIsBeingStartedIsLeftAlone) {
  const auto info = runtime().Create(Shell("true"));
  ASSERT_TRUE(info.ok());
  const std::string dir = DataPath("containers/" + info->id.ToString());
  EditRecord(info->id, "\"status\":\"created\"", "\"status\":\"created\",\"provisional\":true");
  {
    const auto root = core::RootDir::Open(dir);
    const auto lock = core::FileLock::Acquire(root->fd(), "lock");
    ASSERT_TRUE(lock.ok());
    const auto other = OpenAnother();
    ASSERT_TRUE(other.ok());
    EXPECT_TRUE(fs::exists(dir));
  }
  Reopen();
  EXPECT_FALSE(fs::exists(dir)) << "its starter is gone";
}

TEST_F(Recovery, ContainersOfOtherProcessesAreSupervised) {
  ASSERT_EQ(Agent(0, "run", "none"), 0);
  ASSERT_EQ(runtime().List()->size(), 1u);
  const ContainerInfo info = runtime().List()->front();
  EXPECT_EQ(info.state, ContainerState::kRunning);
  // Its end is noticed here although nobody asks.
  const auto root = core::RootDir::Open(DataPath("containers/" + info.id.ToString()));
  kill(info.pid, SIGKILL);
  while (*Record(info.id).GetString("status") != "exited") std::this_thread::yield();
  EXPECT_EQ(*Record(info.id).GetInt("exit_code"), 137);
  EXPECT_EQ(Cgroups(), "");
}

TEST_F(Recovery, OtherProcessesStopStartAndRemove) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  const std::string id = info.id.ToString();
  EXPECT_EQ(Agent(0, "stop", id), 0);
  EXPECT_EQ(runtime().Inspect(info.id)->exit->code, 143);
  EXPECT_EQ(Agent(0, "start", id), 0);
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kRunning);
  EXPECT_NE(Agent(0, "start", id), 0);
  EXPECT_EQ(Agent(0, "remove", id), 0);
  EXPECT_EQ(runtime().Inspect(info.id).status().reason(), "container_not_found");
}

TEST_F(Recovery, DeathOfAMonitorIsTheEndOfItsContainer) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  kill(static_cast<pid_t>(*Record(info.id).Get("monitor").GetInt("pid")), SIGKILL);
  const auto exit = runtime().Wait(info.id);
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ(exit->code, -1);
  EXPECT_EQ(exit->error, "monitor lost");
  EXPECT_EQ(runtime().Inspect(info.id)->state, ContainerState::kExited);
  EXPECT_EQ(Cgroups(), "");
  EXPECT_TRUE(runtime().Start(info.id).ok());
}

TEST_F(Recovery, ALivingProcessCleansUpAfterADeadOne) {
  // Without a new start of anything: this process sees what appears, and that its maker dies.
  for (int n = 1; n < kMaxSteps; ++n) {
    const int status = Agent(n, "run", "none");
    while (true) {
      const auto all = runtime().List();
      ASSERT_TRUE(all.ok());
      const bool settled = std::all_of(all->begin(), all->end(), [](const ContainerInfo& info) {
        return info.state == ContainerState::kRunning;
      });
      if (settled) break;
      std::this_thread::yield();
    }
    const auto running = runtime().List();
    for (const ContainerInfo& info : *running) {
      EXPECT_TRUE(runtime().Remove(info.id, true).ok());
    }
    if (!WasKilled(status)) break;
  }
  Reopen();  // sweeps leases and temporary files
}

TEST_F(Recovery, AFailureAnywhereInARunLeavesNothing) {
  int n = 1;
  for (; n < kMaxSteps; ++n) {
    core::SetFailNth(n);
    const auto info = runtime().Run(Shell("exec sleep 1000"));
    const bool passed_all = core::FailpointsPassed() < n;
    core::ClearFailpoints();
    if (info.ok()) {
      if (passed_all) break;
      // Something in the background met it.
      ASSERT_TRUE(runtime().Remove(info->id, true).ok());
      continue;
    }
    EXPECT_NE(info.status().reason(), "") << info.status().ToString();
    EXPECT_EQ(runtime().List()->size(), 0u) << "after " << info.status().ToString();
    EXPECT_EQ(Cgroups(), "") << "after " << info.status().ToString();
    ExpectNothingLeft();
  }
  EXPECT_GT(n, 20);
  EXPECT_LT(n, kMaxSteps);
}

TEST_F(Recovery, AFailureAnywhereInAStartKeepsTheContainer) {
  const auto created = runtime().Create(Shell("exec sleep 1000"));
  ASSERT_TRUE(created.ok());
  ContainerState before = ContainerState::kCreated;
  int n = 1;
  for (; n < kMaxSteps; ++n) {
    core::SetFailNth(n);
    const auto info = runtime().Start(created->id);
    const bool passed_all = core::FailpointsPassed() < n;
    core::ClearFailpoints();
    if (info.ok()) {
      if (passed_all) break;
      // Something in the background met it.
      ASSERT_TRUE(runtime().Kill(created->id).ok());
      before = ContainerState::kExited;
      continue;
    }
    const auto after = runtime().Inspect(created->id);
    ASSERT_TRUE(after.ok()) << after.status().ToString();
    EXPECT_EQ(after->state, before);
    EXPECT_EQ(Cgroups(), "") << "after " << info.status().ToString();
    EXPECT_FALSE(fs::exists(root_ + "/run/" + created->id.ToString()));
  }
  EXPECT_GT(n, 10);
  EXPECT_LT(n, kMaxSteps);
}

TEST_F(Recovery, DeathAnywhereInARunLeavesNothing) {
  int n = 1;
  for (; n < kMaxSteps; ++n) {
    const int status = Agent(n, "run", "none");
    Reopen();
    const auto all = runtime().List();
    ASSERT_TRUE(all.ok());
    // The only thing that may be there is a container that runs.
    for (const ContainerInfo& info : *all) {
      EXPECT_EQ(info.state, ContainerState::kRunning) << "killed at " << n;
      EXPECT_TRUE(runtime().Remove(info.id, true).ok());
    }
    ExpectNothingLeft();
    EXPECT_EQ(Cgroups(), "") << "killed at " << n;
    if (!WasKilled(status)) {
      EXPECT_EQ(status, 0);
      break;
    }
  }
  EXPECT_GT(n, 20);
  EXPECT_LT(n, kMaxSteps);
}

TEST_F(Recovery, DeathAnywhereInARemovalIsFinishedOrUndone) {
  int n = 1;
  for (; n < kMaxSteps; ++n) {
    const ContainerInfo info = Start(Shell("exec sleep 1000"));
    const int status = Agent(n, "remove", info.id.ToString());
    Reopen();
    const auto after = runtime().Inspect(info.id);
    if (after.ok()) {
      EXPECT_TRUE(runtime().Remove(info.id, true).ok()) << "killed at " << n;
    }
    ExpectNothingLeft();
    EXPECT_EQ(Cgroups(), "") << "killed at " << n;
    if (!WasKilled(status)) break;
  }
  EXPECT_GT(n, 2);
  EXPECT_LT(n, kMaxSteps);
}

}  // namespace
}  // namespace minibox::testing
