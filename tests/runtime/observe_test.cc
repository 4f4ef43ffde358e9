// SPDX-License-Identifier: Apache-2.0
// What one sees of containers: details, use, processes, parts of logs, changes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ObserveRuntimeTest : public RuntimeTest {
 protected:
  static std::vector<std::string> Lines(const std::vector<FileChange>& changes) {
    std::vector<std::string> lines;
    for (const FileChange& change : changes) {
      const char kind = change.kind == FileChange::Kind::kAdded     ? 'A'
                        : change.kind == FileChange::Kind::kChanged ? 'C'
                                                                    : 'D';
      lines.push_back(std::string(1, kind) + " " + change.path);
    }
    return lines;
  }
};

TEST_F(ObserveRuntimeTest, DetailsAreWhatIsInForce) {
  ContainerSpec spec = Shell("echo hello > /written; echo ready; exec sleep 1000");
  spec.resources.memory_bytes = 64 << 20;
  spec.resources.pids = 77;
  spec.security.cap_drop = {"CHOWN"};
  ASSERT_TRUE(store().CreateVolume("data").ok());
  spec.mounts.push_back({Mount::Kind::kVolume, "data", "/data", "ro"});
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  const auto details = runtime().InspectDetails(info.id, /*size=*/true);
  ASSERT_TRUE(details.ok()) << details.status().ToString();
  EXPECT_EQ(details->info.pid, info.pid);
  EXPECT_EQ(details->config.image, "busybox");
  ASSERT_EQ(details->mounts.size(), 1u);
  EXPECT_EQ(details->mounts[0].type, "volume");
  EXPECT_EQ(details->mounts[0].source, DataPath("volumes/data"));
  EXPECT_EQ(details->mounts[0].options, "ro");
  ASSERT_TRUE(details->limits.has_value());
  EXPECT_EQ(details->limits->memory_bytes, 64 << 20);
  EXPECT_EQ(details->limits->pids, 77);
  EXPECT_THAT(details->security.capabilities, Not(Contains("CAP_CHOWN")));
  EXPECT_THAT(details->security.capabilities, Contains("CAP_KILL"));
  EXPECT_TRUE(details->security.no_new_privs);
  EXPECT_EQ(details->security.seccomp, "default");
  EXPECT_THAT(details->cgroup, HasSubstr("/minibox/" + info.id.ToString()));
  EXPECT_EQ(details->log_path, DataPath("containers/" + info.id.ToString() + "/container.log"));
  EXPECT_GE(*details->size_rw, 6u);

  ASSERT_TRUE(runtime().Kill(info.id).ok());
  const auto ended = runtime().InspectDetails(info.id);
  ASSERT_TRUE(ended.ok());
  EXPECT_FALSE(ended->limits.has_value());
  EXPECT_FALSE(ended->size_rw.has_value());
  EXPECT_TRUE(ended->security.id_map.empty());
  ASSERT_TRUE(runtime().Remove(info.id).ok());
  EXPECT_TRUE(store().RemoveVolume("data").ok());
}

TEST_F(ObserveRuntimeTest, StatsAreThoseOfTheKernel) {
  ContainerSpec spec = Shell("echo ready; while :; do :; done");
  spec.name = "busy";
  spec.resources.memory_bytes = 32 << 20;
  const ContainerInfo busy = Start(spec);
  const ContainerInfo idle = Start(Shell("exec sleep 1000"));
  AwaitLog(busy.id, "ready");
  const auto stats = runtime().Stats(busy.id);
  ASSERT_TRUE(stats.ok()) << stats.status().ToString();
  EXPECT_EQ(stats->name, "busy");
  EXPECT_GT(stats->memory_usage, 0u);
  EXPECT_EQ(stats->memory_limit, 32u << 20);
  EXPECT_GE(stats->memory_peak, stats->memory_working_set);
  EXPECT_GT(stats->cpu_usage_usec, 0u);
  EXPECT_GT(stats->cpu_percent, 0.0);
  EXPECT_GE(stats->pids, 2u);
  EXPECT_EQ(stats->pids_limit, 4096u);
  EXPECT_EQ(stats->net_input, 0u);
  EXPECT_THAT(stats->unavailable, Not(Contains("net_input")));

  const auto all = runtime().AllStats();
  ASSERT_TRUE(all.ok());
  ASSERT_EQ(all->size(), 2u);
  EXPECT_LT((*all)[0].id, (*all)[1].id);

  ASSERT_TRUE(runtime().Kill(idle.id).ok());
  EXPECT_EQ(runtime().AllStats()->size(), 1u);
  EXPECT_EQ(runtime().Stats(idle.id).status().reason(), "container_not_running");
  EXPECT_EQ(runtime().Stats(*ContainerId::Parse("00000000")).status().reason(),
            "container_not_found");
}

TEST_F(ObserveRuntimeTest, TopShowsTheProcessesAsTheContainerHasThem) {
  ContainerSpec spec = Shell("sleep 1000 & echo ready; wait");
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "ready");
  const auto processes = runtime().Top(info.id);
  ASSERT_TRUE(processes.ok()) << processes.status().ToString();
  ASSERT_GE(processes->size(), 3u);
  const auto init = std::find_if(processes->begin(), processes->end(),
                                 [](const ProcessInfo& p) { return p.container_pid == 1; });
  ASSERT_NE(init, processes->end());
  EXPECT_EQ(init->pid, info.pid);
  const auto sleeper = std::find_if(processes->begin(), processes->end(),
                                    [](const ProcessInfo& p) { return p.command == "sleep 1000"; });
  ASSERT_NE(sleeper, processes->end());
  EXPECT_TRUE(sleeper->user == "root" || sleeper->user == "0") << sleeper->user;
  EXPECT_GT(sleeper->memory_bytes, 0u);
  EXPECT_GE(sleeper->started, info.created - std::chrono::seconds(1));
}

TEST_F(ObserveRuntimeTest, PartsOfALog) {
  ContainerSpec spec = Shell("echo one; echo bad >&2; echo two; echo three");
  const Output run = RunShell(spec);
  LogOptions options;
  options.stream = Stream::kStderr;
  EXPECT_EQ(Log(run.id, options), "bad\n");
  options.stream = Stream::kStdout;
  options.tail_lines = 2;
  EXPECT_EQ(Log(run.id, options), "two\nthree\n");
  options = {};
  options.timestamps = true;
  options.stream = Stream::kStdout;  // of two streams either may come last
  options.tail_lines = 1;
  const std::string stamped = Log(run.id, options);
  EXPECT_TRUE(stamped.ends_with("Z three\n")) << stamped;
  EXPECT_EQ(stamped.size(), std::string("2026-01-02T03:04:05.678901234Z three\n").size());
  options = {};
  options.since = run.exit.at + std::chrono::seconds(1);
  EXPECT_EQ(Log(run.id, options), "");
  options = {};
  options.until = run.exit.at + std::chrono::seconds(1);
  EXPECT_EQ(Log(run.id, options), Log(run.id));
  options.until = run.exit.at - std::chrono::hours(1);
  EXPECT_EQ(Log(run.id, options), "");

  const auto snapshot = runtime().OpenLog(run.id);
  ASSERT_TRUE(snapshot.ok());
  std::string part;
  ASSERT_TRUE(snapshot
                  ->Read(1, 3,
                         [&](std::string_view bytes) {
                           part += bytes;
                           return Status();
                         })
                  .ok());
  EXPECT_EQ(part, Log(run.id).substr(1, 3));
  EXPECT_EQ(snapshot->size(), Log(run.id).size());
}

TEST_F(ObserveRuntimeTest, ChangesAreThoseOfTheContainerAlone) {
  const Output run = RunShell(
      Shell("mkdir -p /new/deep; echo x > /new/deep/file; echo y > /bin/added; rm /bin/busybox"));
  const auto changes = runtime().Diff(run.id);
  ASSERT_TRUE(changes.ok()) << changes.status().ToString();
  const std::vector<std::string> lines = Lines(*changes);
  EXPECT_THAT(lines, Contains("A /new"));
  EXPECT_THAT(lines, Contains("A /new/deep/file"));
  EXPECT_THAT(lines, Contains("A /bin/added"));
  EXPECT_THAT(lines, Contains("D /bin/busybox"));
  EXPECT_THAT(lines, Contains("C /bin"));
  for (const std::string& line : lines) {
    EXPECT_THAT(line, Not(HasSubstr("/etc/hosts")));
    EXPECT_THAT(line, Not(HasSubstr("/proc")));
  }
  const Output nothing = RunShell(Shell("true"));
  EXPECT_THAT(Lines(*runtime().Diff(nothing.id)), ::testing::ElementsAre());
}

TEST_F(ObserveRuntimeTest, ACommitIsTheImageAndOneLayer) {
  const Output run = RunShell(Shell("echo kept > /kept"));
  CommitOptions options;
  options.image = "made:1";
  options.changes = {"ENV WHAT=committed", "CMD [\"sh\",\"-c\",\"cat /kept; echo $WHAT\"]"};
  const auto image = runtime().Commit(run.id, options);
  ASSERT_TRUE(image.ok()) << image.status().ToString();
  EXPECT_EQ(image->name, "made:1");
  ContainerSpec spec;
  spec.image = "made:1";
  spec.network = "none";
  EXPECT_EQ(RunShell(spec).out, "kept\ncommitted\n");

  options.changes = {"RUN true"};
  const auto bad = runtime().Commit(run.id, options);
  EXPECT_EQ(bad.status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(bad.status().field(), "changes[0]");
  options.changes.clear();
  options.image = "no good name";
  EXPECT_EQ(runtime().Commit(run.id, options).status().reason(), "invalid_reference");
}

TEST_F(ObserveRuntimeTest, ACommitOfARunningContainerLeavesItRunning) {
  const ContainerInfo info = Start(Shell("echo x > /x; echo ready; exec sleep 1000"));
  AwaitLog(info.id, "ready");
  CommitOptions options;
  options.image = "live:1";
  ASSERT_TRUE(runtime().Commit(info.id, options).ok());
  const auto after = runtime().Inspect(info.id);
  ASSERT_TRUE(after.ok());
  EXPECT_EQ(after->state, ContainerState::kRunning);
  EXPECT_EQ(after->pid, info.pid);
}

TEST_F(ObserveRuntimeTest, AnExportIsTheMergedRoot) {
  const Output run = RunShell(Shell("echo mine > /mine; rm /bin/busybox"));
  std::string tar;
  const Status exported = runtime().Export(run.id, [&](std::string_view bytes) {
    tar += bytes;
    return Status();
  });
  ASSERT_TRUE(exported.ok()) << exported.ToString();
  scratch_.Write("root.tar", tar);
  const std::string listing = scratch_ / "listing";
  ASSERT_EQ(system(("tar tf " + (scratch_ / "root.tar") + " > " + listing).c_str()), 0);
  const std::string names = ReadWholeFile(listing);
  EXPECT_THAT(names, HasSubstr("mine\n"));
  EXPECT_THAT(names, Not(HasSubstr("bin/busybox\n")));
}

}  // namespace
}  // namespace minibox::testing
