// SPDX-License-Identifier: Apache-2.0
// Limits that were asked for are in force.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "runtime/runtime_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

class Limits : public RuntimeTest {
 protected:
  // The content of a file of the container's control group, whichever hierarchy has it.
  static std::string CgroupFile(const ContainerInfo& info, const std::string& name) {
    std::istringstream lines(ReadWholeFile("/proc/" + std::to_string(info.pid) + "/cgroup"));
    for (std::string line; std::getline(lines, line);) {
      const size_t first = line.find(':'), second = line.find(':', first + 1);
      const std::string controllers = line.substr(first + 1, second - first - 1);
      const std::string path = line.substr(second + 1);
      // v2 has one hierarchy, mounted at the top or beside those of v1.
      std::vector<std::string> mounts = {controllers};
      if (controllers.empty()) mounts = {"unified", "."};
      for (const std::string& mount : mounts) {
        const std::string file = "/sys/fs/cgroup/" + mount + path + "/" + name;
        if (std::filesystem::exists(file)) return ReadWholeFile(file);
      }
    }
    return "";
  }
};

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
  EXPECT_EQ(CgroupFile(info, "pids.max"), "4096\n");
}

TEST_F(Limits, CpuQuotaThrottles) {
  ContainerSpec spec = Shell("timeout 1 sh -c 'while :; do :; done'; echo done; exec sleep 1000");
  spec.resources.cpu_quota_us = 10000;
  const ContainerInfo info = Start(spec);
  AwaitLog(info.id, "done");
  const std::string quota = CgroupFile(info, "cpu.cfs_quota_us");
  if (quota.empty()) {
    EXPECT_EQ(CgroupFile(info, "cpu.max"), "10000 100000\n");
  } else {
    EXPECT_EQ(quota, "10000\n");
  }
  std::istringstream stat(CgroupFile(info, "cpu.stat"));
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
