// SPDX-License-Identifier: Apache-2.0
// The running kernel's control groups, with processes in them.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/file.h"
#include "core/process.h"
#include "core/strings.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_conformance.h"
#include "kernel/cgroup_control.h"
#include "kernel/cgroup_tree.h"
#include "kernel/mount.h"

namespace minibox::kernel {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kMiB = 1 << 20;

class KernelHost final : public CgroupHost {
 public:
  std::unique_ptr<CgroupDriver> Driver(std::string_view parent) const override {
    auto driver = CgroupDriver::Detect(parent);
    EXPECT_TRUE(driver.ok()) << driver.status().ToString();
    return driver.ok() ? std::move(*driver) : nullptr;
  }
  std::vector<std::string> Roots() const override {
    std::vector<std::string> roots;
    const auto mounts = MountsBelow("/sys/fs/cgroup");
    for (const MountEntry& mount : *mounts) {
      if (mount.type == "cgroup" || mount.type == "cgroup2") roots.push_back(mount.target);
    }
    return roots;
  }
  void BreakCpuset(const Cgroup&) const override {}  // it refuses CPU 4095 itself
  bool is_kernel() const override { return true; }
};

INSTANTIATE_TEST_SUITE_P(Kernel, CgroupConformance,
                         ::testing::Values(CgroupHostParam{
                             "Host", [] { return std::make_unique<KernelHost>(); }}),
                         [](const auto& info) { return info.param.name; });

// A shell that waits for a line before it runs `script`, so that it can be moved first. Killed
// and reaped at the end.
class Workload {
 public:
  explicit Workload(const std::string& script) {
    int in[2], out[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    const core::Fd their_in(in[0]), their_out(out[1]);
    in_.reset(in[1]);
    out_.reset(out[0]);
    const core::Fd shell(open("/bin/sh", O_RDONLY | O_CLOEXEC));
    core::SpawnOptions options;
    options.executable_fd = shell.get();
    options.argv = {"sh", "-c", "read go; " + script};
    options.env = {"PATH=/usr/bin:/bin"};
    options.fds = {{their_in.get(), 0}, {their_out.get(), 1}, {their_out.get(), 2}};
    auto spawned = core::Spawn(options);
    EXPECT_TRUE(spawned.ok()) << spawned.status().ToString();
    if (spawned.ok()) process_ = std::move(*spawned);
  }
  ~Workload() {
    in_.reset();
    if (process_.pidfd.valid() && !waited_) {
      (void)kill(process_.pid, SIGKILL);
      (void)core::WaitPidfd(process_.pidfd.get());
    }
  }

  pid_t pid() const { return process_.pid; }
  void JoinAndGo(const Cgroup& group) {
    for (const auto& dir : group.JoinDirs()) {
      const Status joined = WriteControl(dir.fd, "cgroup.procs", core::StrCat(process_.pid));
      EXPECT_TRUE(joined.ok()) << joined.ToString();
    }
    EXPECT_EQ(write(in_.get(), "\n", 1), 1);
  }
  // Waits until it has written `text`.
  void Expect(const std::string& text) {
    while (output_.find(text) == std::string::npos) {
      char buffer[4096];
      const ssize_t n = read(out_.get(), buffer, sizeof buffer);
      ASSERT_GT(n, 0) << "ended after: " << output_;
      output_.append(buffer, static_cast<size_t>(n));
    }
  }
  core::WaitResult Wait() {
    waited_ = true;
    auto result = core::WaitPidfd(process_.pidfd.get());
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? *result : core::WaitResult();
  }

 private:
  core::Spawned process_;
  core::Fd in_, out_;
  std::string output_;
  bool waited_ = false;
};

class CgroupKernel : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    auto driver = CgroupDriver::Detect(kTestParent);
    ASSERT_TRUE(driver.ok()) << driver.status().ToString();
    driver_ = std::move(*driver);
  }
  void TearDown() override {
    if (!group_) return;
    EXPECT_TRUE(group_->KillAll().ok());  // children of a shell that is gone
    const Status removed = group_->Remove();
    EXPECT_TRUE(removed.ok()) << removed.ToString();
  }
  Cgroup& Make(const CgroupLimits& limits) {
    auto group = driver_->Create("c0ffee01", limits);
    EXPECT_TRUE(group.ok()) << group.status().ToString();
    if (group.ok()) group_ = std::move(*group);
    return *group_;
  }

  std::unique_ptr<CgroupDriver> driver_;
  std::unique_ptr<Cgroup> group_;
};

TEST_F(CgroupKernel, AProcessJoinsEveryHierarchy) {
  Cgroup& group = Make({});
  Workload workload("echo here; read more");
  workload.JoinAndGo(group);
  workload.Expect("here");
  EXPECT_THAT(*group.Pids(), Contains(workload.pid()));
  const std::string groups =
      ::minibox::testing::ReadWholeFile(core::StrCat("/proc/", workload.pid(), "/cgroup"));
  size_t lines = 0;
  for (const auto line : core::StrSplit(groups, '\n')) lines += line.ends_with(group.path());
  EXPECT_EQ(lines, group.JoinDirs().size()) << groups;
  EXPECT_EQ(group.Remove().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(group.KillAll().ok());
  EXPECT_EQ(workload.Wait().signal, SIGKILL);
}

TEST_F(CgroupKernel, PidsAreBounded) {
  CgroupLimits limits;
  limits.pids = 3;
  Cgroup& group = Make(limits);
  Workload workload("for i in 1 2 3 4 5; do sleep 1000 & done; echo started; read more");
  workload.JoinAndGo(group);
  workload.Expect("fork");  // "Cannot fork", after which the shell gives up
  EXPECT_LE(group.Usage()->pids, 3u);
  EXPECT_EQ(group.Usage()->pids_limit, 3u);
  EXPECT_TRUE(group.KillAll().ok());
  EXPECT_THAT(*group.Pids(), IsEmpty());
}

TEST_F(CgroupKernel, KillAllEndsWhatKeepsForking) {
  CgroupLimits limits;
  limits.pids = 200;
  Cgroup& group = Make(limits);
  Workload workload(
      "fork() { while :; do (fork) & sleep 0; done 2>/dev/null; }; echo started; fork");
  workload.JoinAndGo(group);
  workload.Expect("started");
  const Status killed = group.KillAll();
  EXPECT_TRUE(killed.ok()) << killed.ToString();
  EXPECT_THAT(*group.Pids(), IsEmpty());
  EXPECT_TRUE(group.KillAll().ok()) << "of an empty group";
}

TEST_F(CgroupKernel, AFrozenGroupStandsStillAndCanBeKilled) {
  Cgroup& group = Make({});
  Workload workload("echo started; while :; do :; done");
  workload.JoinAndGo(group);
  workload.Expect("started");
  ASSERT_TRUE(group.Freeze(true).ok());
  const uint64_t before = group.Usage()->cpu_usec;
  EXPECT_GT(before, 0u);
  (void)poll(nullptr, 0, 30);  // three ticks in which it must not run
  EXPECT_EQ(group.Usage()->cpu_usec, before);
  ASSERT_TRUE(group.Freeze(false).ok());
  while (group.Usage()->cpu_usec == before) (void)poll(nullptr, 0, 1);
  ASSERT_TRUE(group.Freeze(true).ok());
  EXPECT_TRUE(group.KillAll().ok());
  EXPECT_EQ(workload.Wait().signal, SIGKILL);
}

TEST_F(CgroupKernel, OutOfMemoryKillsAreCounted) {
  CgroupLimits limits;
  limits.memory_bytes = 16 * kMiB;
  Cgroup& group = Make(limits);
  EXPECT_EQ(group.Usage()->oom_kills, 0u);
  Workload workload("x=$(head -c 64m /dev/zero | tr '\\0' x); echo ${#x}");
  workload.JoinAndGo(group);
  const auto result = workload.Wait();
  EXPECT_NE(result.code, 0);
  EXPECT_GE(group.Usage()->oom_kills, 1u);
}

TEST_F(CgroupKernel, ALimitBelowThePresentUseIsRefusedAndNothingDies) {
  Cgroup& group = Make({});
  Workload workload("x=$(head -c 24m /dev/zero | tr '\\0' x); echo started; read more");
  workload.JoinAndGo(group);
  workload.Expect("started");
  CgroupLimits limits;
  limits.memory_bytes = 8 * kMiB;
  EXPECT_EQ(group.Apply(limits).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(group.Usage()->memory_limit, 0u);
  EXPECT_EQ(group.Usage()->oom_kills, 0u);
  EXPECT_TRUE(group.KillAll().ok());
}

TEST_F(CgroupKernel, ValuesThatTheKernelRefusesLeaveNothing) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.cpuset = "4095";
  auto group = driver_->Create("c0ffee01", limits);
  EXPECT_EQ(group.status().code(), StatusCode::kInvalidArgument) << group.status().ToString();
  EXPECT_EQ(group.status().field(), "cpuset");
  limits.cpuset.clear();
  limits.cpu_quota_us = 1;
  group = driver_->Create("c0ffee01", limits);
  EXPECT_EQ(group.status().field(), "cpu");
  EXPECT_THAT(group.status().message(), HasSubstr("cgroup controller cpu refuses"));
  EXPECT_THAT(*driver_->List(), IsEmpty());
}

TEST_F(CgroupKernel, GroupsMadeInsideAreKilledAndRemovedToo) {
  Cgroup& group = Make({});
  Workload workload("echo started; sleep 1000");
  workload.JoinAndGo(group);
  workload.Expect("started");
  for (const auto& dir : group.JoinDirs()) {
    ASSERT_EQ(mkdirat(dir.fd, "inner", 0755), 0);
    // An inner cpuset of v1 begins empty, and nothing can join it.
    if (HasControl(dir.fd, "cpuset.cpus")) continue;
    EXPECT_TRUE(WriteControl(dir.fd, "inner/cgroup.procs", core::StrCat(workload.pid())).ok());
  }
  EXPECT_THAT(*group.Pids(), Contains(workload.pid()));
  EXPECT_TRUE(group.KillAll().ok());
  EXPECT_EQ(workload.Wait().signal, SIGKILL);
  EXPECT_TRUE(group.Remove().ok());
  EXPECT_THAT(*driver_->List(), Not(Contains("c0ffee01")));
}

}  // namespace
}  // namespace minibox::kernel
