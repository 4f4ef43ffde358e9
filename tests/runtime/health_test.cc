// SPDX-License-Identifier: Apache-2.0
// Health checks of a runtime that supervises, probing real containers.
#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

class HealthTest : public RuntimeTest {
 protected:
  void SetUp() override {
    options_.supervise = true;
    RuntimeTest::SetUp();
  }
  // A container that is healthy while /healthy exists.
  static ContainerSpec Checked(std::string script, int retries = 1) {
    ContainerSpec spec = Shell(std::move(script));
    spec.healthcheck = HealthCheck{{"CMD-SHELL", "echo probe; test -e /healthy"},
                                   milliseconds(50),
                                   seconds(20),
                                   milliseconds(0),
                                   retries};
    return spec;
  }
  ContainerInfo AwaitHealth(const ContainerId &id, Health health) {
    return Await(id, [health](const ContainerInfo &now) { return now.health == health; });
  }
};

TEST_F(HealthTest, FollowsTheProbes) {
  const ContainerInfo info =
      Start(Checked("trap 'touch /healthy' USR1; trap 'rm /healthy' USR2; echo ready; "
                    "while :; do sleep 1000 & wait; done",
                    2));
  EXPECT_EQ(info.health, Health::kStarting);
  AwaitLog(info.id, "ready");
  AwaitHealth(info.id, Health::kUnhealthy);
  ASSERT_TRUE(runtime().Kill(info.id, SIGUSR1).ok());
  AwaitHealth(info.id, Health::kHealthy);
  ASSERT_TRUE(runtime().Kill(info.id, SIGUSR2).ok());
  AwaitHealth(info.id, Health::kUnhealthy);
  const auto log = runtime().ReadHealthLog(info.id);
  ASSERT_TRUE(log.ok());
  EXPECT_GE(log->failing_streak, 2);
  ASSERT_LE(log->probes.size(), 5u);
  EXPECT_EQ(log->probes.back().exit_code, 1);
  EXPECT_EQ(log->probes.back().output, "probe\n");
  EXPECT_GE(log->probes.back().end, log->probes.back().start);
  // Output of probes is not the container's.
  EXPECT_EQ(Log(info.id), "ready\n");
  ASSERT_TRUE(runtime().Kill(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->health, Health::kNone);
}

TEST_F(HealthTest, EveryChangeIsAnEvent) {
  const ContainerInfo info = Start(Checked("touch /healthy; exec sleep 1000"));
  AwaitHealth(info.id, Health::kHealthy);
  ExecSpec exec;
  exec.command = {"rm", "/healthy"};
  ASSERT_TRUE(runtime().Exec(info.id, exec, [](const OutputChunk &) { return Status(); }).ok());
  std::vector<std::string> told;
  const EventOptions options{
      .since = TimePoint(), .types = {"container.health"}, .containers = {info.id.ToString()}};
  const Status read = runtime().ReadEvents(options, [&](const Event &event) {
    told.push_back(event.attributes.at("health"));
    return told.back() == "unhealthy" ? Status(StatusCode::kAborted, "enough") : Status();
  });
  EXPECT_EQ(read.code(), StatusCode::kAborted);
  EXPECT_EQ(told, (std::vector<std::string>{"healthy", "unhealthy"}));
  const auto details = runtime().InspectDetails(info.id);
  ASSERT_TRUE(details.ok());
  EXPECT_GE(details->health_log.failing_streak, 1);
  EXPECT_EQ(details->health_log.probes.back().output, "probe\n");
}

TEST_F(HealthTest, WaitForHealthyAndForNothingMore) {
  const ContainerInfo good = Start(Checked("touch /healthy; exec sleep 1000"));
  const auto healthy = runtime().WaitFor(good.id, {.condition = WaitCondition::kHealthy});
  ASSERT_TRUE(healthy.ok()) << healthy.status().ToString();
  EXPECT_EQ(healthy->health, Health::kHealthy);
  const ContainerInfo bad = Start(Checked("echo ready; read x < /dev/zero; exit 0", 1000));
  std::thread ender([&] {
    AwaitLog(bad.id, "ready");
    EXPECT_TRUE(runtime().Kill(bad.id).ok());
  });
  const auto never = runtime().WaitFor(bad.id, {.condition = WaitCondition::kHealthy});
  EXPECT_EQ(never.status().reason(), "container_not_running") << never.status().ToString();
  ender.join();
}

TEST_F(HealthTest, AProbeThatTakesTooLongIsKilledWithItsChildren) {
  ContainerSpec spec = Checked("echo ready; exec sleep 1000");
  spec.healthcheck->test = {"CMD", "sh", "-c", "echo begun; setsid sleep 7777 & sleep 7777"};
  spec.healthcheck->timeout = milliseconds(300);
  const ContainerInfo info = Start(spec);
  AwaitHealth(info.id, Health::kUnhealthy);
  const auto log = runtime().ReadHealthLog(info.id);
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(log->probes.back().exit_code, -1);
  EXPECT_THAT(log->probes.back().output, HasSubstr("longer than 300 ms"));
}

TEST_F(HealthTest, FailuresOfTheStartPeriodDoNotCount) {
  ContainerSpec spec = Checked("echo ready; exec sleep 1000");
  spec.healthcheck->start_period = std::chrono::hours(1);
  const ContainerInfo info = Start(spec);
  while (runtime().ReadHealthLog(info.id)->probes.size() < 3) {
    std::this_thread::yield();
  }
  EXPECT_EQ(runtime().ReadHealthLog(info.id)->failing_streak, 0);
  EXPECT_EQ(runtime().Inspect(info.id)->health, Health::kStarting);
}

TEST_F(HealthTest, ACommandThatIsNotThereIsAFailure) {
  ContainerSpec spec = Checked("exec sleep 1000");
  spec.healthcheck->test = {"/no/such/probe"};
  const ContainerInfo info = Start(spec);
  AwaitHealth(info.id, Health::kUnhealthy);
  EXPECT_THAT(runtime().ReadHealthLog(info.id)->probes.back().output, HasSubstr("/no/such/probe"));
}

TEST_F(HealthTest, PausedContainersAreNotProbed) {
  const ContainerInfo info = Start(Checked("touch /healthy; exec sleep 1000"));
  AwaitHealth(info.id, Health::kHealthy);
  ASSERT_TRUE(runtime().Pause(info.id).ok());
  EXPECT_EQ(runtime().Inspect(info.id)->health, Health::kHealthy);
  ASSERT_TRUE(runtime().Unpause(info.id).ok());
  const auto seen = runtime().ReadHealthLog(info.id)->probes.back().end;
  while (runtime().ReadHealthLog(info.id)->probes.back().end == seen) std::this_thread::yield();
  EXPECT_EQ(runtime().Inspect(info.id)->health, Health::kHealthy);
}

TEST_F(HealthTest, GoesOnWhereAnotherRuntimeHasLeftOff) {
  const ContainerInfo info = Start(Checked("touch /healthy; exec sleep 1000"));
  AwaitHealth(info.id, Health::kHealthy);
  runtime_.reset();
  EXPECT_EQ(*Record(info.id).GetString("health"), "healthy");
  Reopen();
  EXPECT_EQ(runtime().Inspect(info.id)->health, Health::kHealthy);
  const auto seen = runtime().ReadHealthLog(info.id)->probes.back().end;
  while (runtime().ReadHealthLog(info.id)->probes.back().end == seen) std::this_thread::yield();
}

TEST_F(HealthTest, ContainersOfOtherProcessesAreProbed) {
  options_.supervise = false;
  auto other = OpenAnother();
  options_.supervise = true;
  ASSERT_TRUE(other.ok());
  const auto info = other->Run(Checked("touch /healthy; exec sleep 1000"));
  ASSERT_TRUE(info.ok()) << info.status().ToString();
  AwaitHealth(info->id, Health::kHealthy);
}

TEST_F(HealthTest, WithoutCheckThereIsNone) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  EXPECT_EQ(info.health, Health::kNone);
  EXPECT_TRUE(runtime().ReadHealthLog(info.id)->probes.empty());
}

}  // namespace
}  // namespace minibox::testing
