// SPDX-License-Identifier: Apache-2.0
// Limits that were asked for are in force.
#include <gmock/gmock.h>

#include <sstream>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

class Limits : public RuntimeTest {};

TEST_F(Limits, MemoryKillsWhoTakesMore) {
  ContainerSpec spec = Shell("exec tail /dev/zero");
  spec.resources.memory_bytes = 32 << 20;
  const Output output = RunShell(spec, 137);
  EXPECT_EQ(output.exit.signal, SIGKILL);
  EXPECT_TRUE(output.exit.oom_killed);
  EXPECT_TRUE(runtime().Inspect(output.id)->exit->oom_killed);
}

TEST_F(Limits, ChildThatIsKilledLeavesTheWorkloadAlive) {
  ContainerSpec spec = Shell("tail /dev/zero; echo $?");
  spec.resources.memory_bytes = 32 << 20;
  const Output output = RunShell(spec);
  EXPECT_THAT(output.out, HasSubstr("137"));
  EXPECT_FALSE(output.exit.oom_killed);
}

TEST_F(Limits, PidsStopAForkBomb) {
  ContainerSpec spec = Shell("for i in $(seq 1 20); do sleep 100 & done; wait");
  spec.resources.pids = 6;
  const Output output = RunShell(spec, 2);
  EXPECT_THAT(output.err, HasSubstr("can't fork"));
}

TEST_F(Limits, PidsHaveADefault) {
  const ContainerInfo info = Start(Shell("exec sleep 1000"));
  EXPECT_EQ(CgroupFile(info.id, "pids.max"), "4096");
}

TEST_F(Limits, CpuQuotaThrottles) {
  ContainerSpec spec = Shell("timeout 1 sh -c 'while :; do :; done'; echo done; exec sleep 1000");
  spec.resources.cpu_quota_us = 10000;
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "done");
  const std::string quota = CgroupFile(info.id, "cpu.cfs_quota_us");
  if (quota.empty()) {
    EXPECT_EQ(CgroupFile(info.id, "cpu.max"), "10000 100000");
  } else {
    EXPECT_EQ(quota, "10000");
  }
  std::istringstream stat(CgroupFile(info.id, "cpu.stat"));
  long throttled = -1;
  for (std::string key, value; stat >> key >> value;) {
    if (key == "nr_throttled") throttled = std::stol(value);
  }
  EXPECT_GT(throttled, 0);
}

TEST_F(Limits, CpusetIsApplied) {
  ContainerSpec spec = Shell("grep Cpus_allowed_list /proc/self/status");
  spec.resources.cpuset = "0";
  EXPECT_EQ(RunShell(spec).out, "Cpus_allowed_list:\t0\n");
}

TEST_F(Limits, WhatTheHostCannotApplyIsRefusedByName) {
  ContainerSpec spec = Shell("true");
  spec.resources.io_weight = 500;
  const auto info = runtime().Run(spec);
  if (info.ok()) {
    // Where it can be applied, it is.
    ASSERT_TRUE(runtime().Wait(info->id).ok());
    return;
  }
  EXPECT_EQ(info.status().reason(), "unsupported_by_host") << info.status().ToString();
  EXPECT_EQ(info.status().field(), "io_weight");
  EXPECT_THAT(info.status().message(), HasSubstr("cannot apply io_weight: cgroup controller"));
  ExpectNothingLeft();
}

TEST_F(Limits, OomScoreHolds) {
  ContainerSpec spec = Shell("cat /proc/self/oom_score_adj");
  spec.resources.oom_score_adj = 123;
  EXPECT_EQ(RunShell(spec).out, "123\n");
}

TEST_F(Limits, ContainerSeesItsOwnGroupAsTheRoot) {
  EXPECT_THAT(Stdout("cat /proc/self/cgroup"), ::testing::Not(HasSubstr("minibox")));
}

}  // namespace
}  // namespace minibox::testing
