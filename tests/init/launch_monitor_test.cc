// SPDX-License-Identifier: Apache-2.0
// The monitor: exits, signals, time-outs, reconnection, and what its death means.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>
#include <thread>

#include "core/file.h"
#include "core/json.h"
#include "core/process.h"
#include "core/syscalls.h"
#include "launch_fixture.h"
#include "runtime/monitor_reaper.h"

namespace minibox::init {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class LaunchMonitor : public LaunchTest {
 protected:
  json::Value ExitRecord() const {
    auto record = json::Parse(testing::ReadWholeFile(Path("container/exit.json")));
    EXPECT_TRUE(record.ok()) << record.status().ToString();
    return record.ok() ? *record : json::Value();
  }
};

// Waits until the process of `pidfd` has ended.
bool HasEnded(const core::Fd& pidfd) {
  pollfd polled{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
  return poll(&polled, 1, 10'000) == 1;
}

// Reads until `text` has come.
void AwaitOutput(const runtime::Launched& launched, std::string_view text) {
  std::string out;
  (void)runtime::ReadOutput(launched.output.get(), [&](const OutputChunk& chunk) {
    out.append(chunk.bytes);
    return out.find(text) == std::string::npos ? Status() : Status(StatusCode::kCancelled, "found");
  });
  EXPECT_THAT(out, HasSubstr(text));
}

TEST_F(LaunchMonitor, RecordsTheExitBeforeItTells) {
  auto launched = Launch(Script("exit 3"));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  const auto exit = launched->connection.WaitExit();
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  const json::Value record = ExitRecord();
  EXPECT_EQ(record.GetInt("exit_code").value(), 3);
  EXPECT_EQ(record.GetInt("signal").value(), 0);
  EXPECT_TRUE(record.Get("oom_killed").absent());
  EXPECT_TRUE(record.Get("error").absent());
  EXPECT_THAT(record.GetString("finished_at").value(), HasSubstr("T"));
  EXPECT_GT(exit->at.time_since_epoch().count(), 0);
  EXPECT_FALSE(std::filesystem::exists(Path("run/monitor.sock")));
  // Known from now on, without asking.
  EXPECT_EQ(launched->connection.PollExit().value()->code, 3);
}

TEST_F(LaunchMonitor, RecordsNothingUnlessAsked) {
  LaunchSpec spec = Script("echo hello");
  spec.record_exit = false;
  spec.log = false;
  Run(spec);
  EXPECT_TRUE(std::filesystem::is_empty(Path("container")));
}

TEST_F(LaunchMonitor, PollDoesNotWait) {
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  const auto nothing = launched->connection.PollExit();
  ASSERT_TRUE(nothing.ok());
  EXPECT_FALSE(nothing->has_value());
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  pollfd polled{.fd = launched->connection.fd(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(poll(&polled, 1, 10'000), 1);
  const auto exit = launched->connection.PollExit();
  ASSERT_TRUE(exit.ok() && exit->has_value());
  EXPECT_EQ((*exit)->code, 137);
  EXPECT_EQ((*exit)->signal, SIGKILL);
}

TEST_F(LaunchMonitor, WaitCanBeCancelled) {
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(launched->connection.WaitExit(stop.get_token()).status().code(),
            StatusCode::kCancelled);
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  EXPECT_TRUE(launched->connection.WaitExit().ok());
}

TEST_F(LaunchMonitor, SignalsReachTheWorkload) {
  auto launched = Launch(
      Script("trap 'echo got; exit 7' USR1; echo ready; while :; do sleep 0.01; done"), true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  AwaitOutput(*launched, "ready");
  ASSERT_TRUE(launched->connection.Signal(SIGUSR1).ok());
  EXPECT_EQ(launched->connection.WaitExit().value().code, 7);
  AwaitOutput(*launched, "got");
  EXPECT_EQ(launched->connection.Signal(SIGTERM).reason(), "container_not_running");
  EXPECT_EQ(launched->connection.Signal(0).code(), StatusCode::kInvalidArgument);
}

TEST_F(LaunchMonitor, SignalsOfTheHostToPid1AreForwarded) {
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  ASSERT_EQ(kill(launched->pid, SIGTERM), 0);
  EXPECT_EQ(launched->connection.WaitExit().value().code, 143);
}

TEST_F(LaunchMonitor, StopAndContinueReachTheWorkload) {
  auto launched = Launch(Script("echo ready; exec sleep 1000"), true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  AwaitOutput(*launched, "ready");
  ASSERT_TRUE(launched->connection.Signal(SIGSTOP).ok());
  ASSERT_TRUE(launched->connection.Signal(SIGCONT).ok());
  ASSERT_TRUE(launched->connection.Signal(SIGTERM).ok());
  EXPECT_EQ(launched->connection.WaitExit().value().code, 143);
}

TEST_F(LaunchMonitor, SignalsReachAWorkloadWithoutInit) {
  LaunchSpec spec = Script("trap 'exit 9' TERM; echo ready; while :; do sleep 0.01; done");
  spec.init = false;
  auto launched = Launch(spec, true);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  AwaitOutput(*launched, "ready");
  ASSERT_TRUE(launched->connection.Signal(SIGTERM).ok());
  EXPECT_EQ(launched->connection.WaitExit().value().code, 9);
}

TEST_F(LaunchMonitor, TimeOutKillsEverything) {
  LaunchSpec spec = Script("trap '' TERM; sleep 1000 & sleep 1000");
  spec.timeout_ms = 50;
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.exit.code, 137);
  EXPECT_EQ(outcome.exit.signal, SIGKILL);
  EXPECT_EQ(outcome.exit.error, "timeout");
  EXPECT_FALSE(outcome.exit.oom_killed);
  EXPECT_EQ(ExitRecord().GetString("error").value(), "timeout");
}

TEST_F(LaunchMonitor, AnExitBeforeTheTimeOutIsNone) {
  LaunchSpec spec = Script("exit 0");
  spec.timeout_ms = 60'000;
  EXPECT_EQ(Run(spec).exit.error, "");
}

TEST_F(LaunchMonitor, OomKillIsNoticed) {
  kernel::CgroupLimits limits;
  limits.memory_bytes = 16 << 20;
  const Status applied = cgroup_->Apply(limits);
  if (!applied.ok()) GTEST_SKIP() << applied.ToString();
  const Outcome outcome = Run(Spec({"dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"}));
  EXPECT_EQ(outcome.exit.code, 137);
  EXPECT_TRUE(outcome.exit.oom_killed);
}

TEST_F(LaunchMonitor, OthersConnectAndAreTold) {
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  std::vector<runtime::MonitorConnection> clients;
  for (int i = 0; i < 20; ++i) {
    auto client = runtime::ConnectMonitor(run_dir_.get());
    ASSERT_TRUE(client.ok()) << client.status().ToString();
    clients.push_back(std::move(*client));
  }
  {
    // One that has gone again.
    auto gone = std::move(clients.back());
    clients.pop_back();
  }
  ASSERT_TRUE(clients[7].Signal(SIGTERM).ok());
  for (auto& client : clients) {
    const auto exit = client.WaitExit();
    ASSERT_TRUE(exit.ok()) << exit.status().ToString();
    EXPECT_EQ(exit->code, 143);
  }
  EXPECT_EQ(launched->connection.WaitExit().value().code, 143);
  EXPECT_EQ(runtime::ConnectMonitor(run_dir_.get()).status().code(), StatusCode::kNotFound);
}

TEST_F(LaunchMonitor, OutlivesTheConnectionOfItsLaunch) {
  auto launched = Launch(Script("while [ ! -e /go ]; do sleep 0.01; done; exit 6"));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  const core::Fd monitor(core::sys::PidfdOpen(launched->monitor.pid));
  { const runtime::MonitorConnection dropped = std::move(launched->connection); }
  auto again = runtime::ConnectMonitor(run_dir_.get());
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ASSERT_TRUE(again->Signal(SIGTERM).ok());
  EXPECT_EQ(again->WaitExit().value().code, 143);
  // One that does not end at once is fetched with the next start, which there is not here.
  EXPECT_TRUE(HasEnded(monitor));
  (void)runtime::ReapMonitor(monitor.get(), 0);
}

TEST_F(LaunchMonitor, WithoutRunDirectoryItEndsWithItsConnection) {
  fds_.run_dir = -1;
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  const core::Fd workload(core::sys::PidfdOpen(launched->pid));
  ASSERT_TRUE(workload.valid());
  { const runtime::MonitorConnection dropped = std::move(launched->connection); }
  EXPECT_TRUE(HasEnded(workload));
}

TEST_F(LaunchMonitor, ItsDeathIsTheContainers) {
  for (const bool init : {true, false}) {
    LaunchSpec spec = Script("sleep 1000 & sleep 1000");
    spec.init = init;
    auto launched = Launch(spec, true);
    ASSERT_TRUE(launched.ok()) << launched.status().ToString();
    const core::Fd pid1(core::sys::PidfdOpen(launched->pid));
    ASSERT_TRUE(pid1.valid());
    ASSERT_EQ(kill(launched->monitor.pid, SIGKILL), 0);
    EXPECT_TRUE(HasEnded(pid1));
    EXPECT_EQ(launched->connection.WaitExit().status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(launched->connection.Signal(SIGTERM).code(), StatusCode::kUnavailable);
    EXPECT_EQ(
        runtime::ReadOutput(launched->output.get(), [](const OutputChunk&) { return Status(); })
            .code(),
        StatusCode::kDataLoss);
    // What it left behind is in nobody's way.
    EXPECT_EQ(runtime::ConnectMonitor(run_dir_.get()).status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(Run(Spec({"true"})).exit.code, 0);
  }
}

TEST_F(LaunchMonitor, IsKnownByPidAndStartTime) {
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  EXPECT_EQ(core::ProcessStartTime(launched->monitor.pid).value(), launched->monitor.start_time);
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  EXPECT_TRUE(launched->connection.WaitExit().ok());
}

TEST_F(LaunchMonitor, HoldsOnToNothingOfItsLaunch) {
  auto launched = Launch(Spec({"sh", "-c", "echo up; exec sleep 1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  // Before it reads any output it has let go.
  while (ReadLog() != "up\n") std::this_thread::yield();
  const std::string proc = "/proc/" + std::to_string(launched->monitor.pid);
  std::string links;
  for (const auto& entry : std::filesystem::directory_iterator(proc + "/fd")) {
    links += std::filesystem::read_symlink(entry.path()).string() + "\n";
  }
  EXPECT_THAT(links, Not(HasSubstr(scratch_.path() + "\n")));
  EXPECT_THAT(links, Not(HasSubstr("tasks")));
  EXPECT_THAT(links, Not(HasSubstr("ns:")));
  EXPECT_EQ(std::filesystem::read_symlink(proc + "/cwd"), "/");
  EXPECT_EQ(testing::ReadWholeFile(proc + "/environ"), "");
  EXPECT_EQ(testing::ReadWholeFile(proc + "/cmdline"), std::string("minibox-init\0", 13));
  std::istringstream stat(testing::ReadWholeFile(proc + "/stat"));
  std::string pid, name, state, parent, group, session;
  stat >> pid >> name >> state >> parent >> group >> session;
  EXPECT_EQ(pid, session);
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  EXPECT_TRUE(launched->connection.WaitExit().ok());
}

TEST_F(LaunchMonitor, HoldsPortsUntilTheExitIsKnown) {
  core::Fd pipe_read, pipe_write;
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  pipe_read.reset(ends[0]);
  pipe_write.reset(ends[1]);
  fds_.held = {pipe_write.get()};
  auto launched = Launch(Spec({"sleep", "1000"}));
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  pipe_write.reset();
  char byte;
  EXPECT_EQ(read(pipe_read.get(), &byte, 1), -1);
  EXPECT_EQ(errno, EAGAIN);
  ASSERT_TRUE(launched->connection.Signal(SIGKILL).ok());
  EXPECT_TRUE(launched->connection.WaitExit().ok());
  EXPECT_EQ(read(pipe_read.get(), &byte, 1), 0);
}

TEST_F(LaunchMonitor, ManyAtOnce) {
  // One container's directories serve all: only reading goes on in them.
  std::vector<std::thread> threads;
  std::atomic<int> succeeded = 0;
  for (int i = 0; i < 8; ++i) {
    const std::string n = std::to_string(i);
    for (const char* name : {"upper", "work", "run", "container"}) {
      std::filesystem::create_directory(Path(name + n));
    }
    threads.emplace_back([&, n, i] {
      LaunchSpec spec = Script("echo " + n + " > /n; cat /n; exit " + n);
      spec.upper += n;
      spec.work += n;
      const core::Fd run = OpenDir("run" + n), container = OpenDir("container" + n);
      runtime::LaunchFds fds = fds_;
      fds.run_dir = run.get();
      fds.container_dir = container.get();
      auto launched = launcher_->Launch(spec, fds, *cgroup_, false, {});
      EXPECT_TRUE(launched.ok()) << launched.status().ToString();
      if (launched.ok() && launched->connection.WaitExit().value().code == i) ++succeeded;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(succeeded, 8);
}

}  // namespace
}  // namespace minibox::init
