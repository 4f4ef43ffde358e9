// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/strings.h"
#include "kernel/cgroup_conformance.h"
#include "kernel/cgroup_control.h"
#include "kernel/fake_cgroups.h"

namespace minibox::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int64_t kMiB = 1 << 20;
using Names = std::vector<std::string>;

const Names& AllV1() {
  static const auto& all =
      *new Names{"cpu,cpuacct", "cpuset", "memory", "freezer", "blkio", "pids"};
  return all;
}
const Names& AllV2() {
  static const auto& all = *new Names{"cpu", "cpuset", "io", "memory", "pids"};
  return all;
}

class FakeHost final : public CgroupHost {
 public:
  FakeHost(Names v1, const Names* v2) : cgroups_(std::move(v1), v2) {}
  std::unique_ptr<CgroupDriver> Driver(std::string_view parent) const override {
    return cgroups_.Driver(parent);
  }
  std::vector<std::string> Roots() const override {
    std::vector<std::string> roots;
    for (const auto& hierarchy : cgroups_.hierarchies()) roots.push_back(hierarchy.path);
    return roots;
  }
  void BreakCpuset(const Cgroup& group) const override {
    for (const auto& dir : group.JoinDirs()) {
      if (unlinkat(dir.fd, "cpuset.cpus", 0) != 0) continue;
      EXPECT_EQ(symlinkat("/dev/full", dir.fd, "cpuset.cpus"), 0);
    }
  }
  bool is_kernel() const override { return false; }

 private:
  FakeCgroups cgroups_;
};

INSTANTIATE_TEST_SUITE_P(
    Imitated, CgroupConformance,
    ::testing::Values(
        CgroupHostParam{"V1", [] { return std::make_unique<FakeHost>(AllV1(), nullptr); }},
        CgroupHostParam{"V2", [] { return std::make_unique<FakeHost>(Names{}, &AllV2()); }},
        // Memory and pids on v2, the rest on v1.
        CgroupHostParam{"Hybrid",
                        [] {
                          static const Names v2 = {"memory", "pids"};
                          return std::make_unique<FakeHost>(
                              Names{"cpu", "cpuacct", "cpuset", "freezer", "blkio"}, &v2);
                        }}),
    [](const auto& info) { return info.param.name; });

std::string Read(const Cgroup& group, const std::string& file) {
  for (const auto& dir : group.JoinDirs()) {
    if (const auto value = ReadControl(dir.fd, file); value.ok()) return *value;
  }
  return "";
}

TEST(CgroupV1, FilesOfTheTable) {
  const FakeCgroups host(AllV1(), nullptr);
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.memory_swap_bytes = 80 * kMiB;
  limits.cpu_quota_us = 10000;
  limits.cpuset = "0,2-3";
  limits.io_weight = 1;
  limits.pids = 5;
  auto group = host.Driver("")->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ((*group)->path(), "/minibox/c0ffee01");
  EXPECT_EQ(Read(**group, "memory.limit_in_bytes"), core::StrCat(64 * kMiB));
  EXPECT_EQ(Read(**group, "memory.memsw.limit_in_bytes"), core::StrCat(80 * kMiB));
  EXPECT_EQ(Read(**group, "cpu.cfs_period_us"), "100000");
  EXPECT_EQ(Read(**group, "cpu.cfs_quota_us"), "10000");
  EXPECT_EQ(Read(**group, "cpuset.cpus"), "0,2-3");
  EXPECT_EQ(Read(**group, "cpuset.mems"), "0") << "inherited, or nothing could join";
  EXPECT_EQ(Read(**group, "blkio.weight"), "10");
  EXPECT_EQ(Read(**group, "pids.max"), "5");
  for (const auto& dir : (*group)->JoinDirs()) EXPECT_FALSE(dir.v2);
  const auto usage = (*group)->Usage();
  EXPECT_EQ(usage->memory_bytes, 4096u);
  EXPECT_EQ(usage->pids, 2u);
  EXPECT_EQ(usage->cpu_usec, 5000u);
  EXPECT_EQ(usage->oom_kills, 3u);
}

TEST(CgroupV2, FilesOfTheTable) {
  const FakeCgroups host({}, &AllV2());
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.memory_swap_bytes = 80 * kMiB;
  limits.cpu_quota_us = 10000;
  limits.cpuset = "0,2-3";
  limits.io_weight = 1;
  limits.pids = 5;
  auto group = host.Driver("/a/b/")->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ((*group)->path(), "/a/b/minibox/c0ffee01");
  EXPECT_EQ(Read(**group, "memory.max"), core::StrCat(64 * kMiB));
  EXPECT_EQ(Read(**group, "memory.swap.max"), core::StrCat(16 * kMiB));
  EXPECT_EQ(Read(**group, "cpu.max"), "10000 100000");
  EXPECT_EQ(Read(**group, "cpuset.cpus"), "0,2-3");
  EXPECT_EQ(Read(**group, "io.weight"), "1");
  EXPECT_EQ(Read(**group, "pids.max"), "5");
  ASSERT_EQ((*group)->JoinDirs().size(), 1u);
  EXPECT_TRUE((*group)->JoinDirs()[0].v2);
  const auto usage = (*group)->Usage();
  EXPECT_EQ(usage->memory_bytes, 4096u);
  EXPECT_EQ(usage->cpu_usec, 5000u);
  EXPECT_EQ(usage->oom_kills, 3u);
}

TEST(Cgroup, AMissingControllerIsNamedAndNothingIsLeft) {
  const FakeCgroups v1({"cpu", "memory", "freezer"}, nullptr);
  CgroupLimits cpus;
  cpus.cpuset = "0";
  auto group = v1.Driver("")->Create("c0ffee01", cpus);
  EXPECT_EQ(group.status().code(), StatusCode::kInternal);
  EXPECT_EQ(group.status().reason(), "unsupported_by_host");
  EXPECT_EQ(group.status().field(), "cpuset");
  EXPECT_EQ(group.status().message(),
            "cannot apply cpuset: cgroup controller cpuset is not available: it is not mounted");
  EXPECT_THAT(*v1.Driver("")->List(), ElementsAre());

  const Names few = {"memory"};
  const FakeCgroups v2({}, &few);
  CgroupLimits pids;
  pids.pids = 10;
  group = v2.Driver("")->Create("c0ffee01", pids);
  EXPECT_EQ(group.status().field(), "pids_limit");
  EXPECT_THAT(group.status().message(),
              HasSubstr("cannot apply pids_limit: cgroup controller pids is not available: the "
                        "kernel does not have it"));
}

TEST(Cgroup, AMissingControllerOfADefaultOnlyWarns) {
  const FakeCgroups host({"memory", "freezer"}, nullptr);
  CgroupLimits limits;
  limits.pids = 4096;
  limits.pids_is_default = true;
  auto group = host.Driver("")->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_THAT((*group)->warnings(),
              ElementsAre("cannot apply pids_limit: cgroup controller pids is not available: it "
                          "is not mounted"));
}

TEST(Cgroup, SwapThatIsNotCountedMattersOnlyIfAskedFor) {
  const FakeCgroups v1({"memory", "freezer"}, nullptr, {"memory.memsw.limit_in_bytes"});
  const FakeCgroups v2({}, &AllV2(), {"memory.swap.max"});
  for (const FakeCgroups* host : {&v1, &v2}) {
    CgroupLimits limits;
    limits.memory_bytes = 64 * kMiB;
    EXPECT_TRUE(host->Driver("")->Create("c0ffee01", limits).ok());
    limits.memory_swap_bytes = 65 * kMiB;
    const auto group = host->Driver("")->Create("c0ffee02", limits);
    EXPECT_EQ(group.status().reason(), "unsupported_by_host");
    EXPECT_EQ(group.status().field(), "memory_swap");
    limits.memory_swap_bytes = -1;
    EXPECT_TRUE(host->Driver("")->Create("c0ffee03", limits).ok());
  }
}

TEST(Cgroup, IoWeightFallsBackToBfqAndThenFails) {
  CgroupLimits limits;
  limits.io_weight = 700;
  const FakeCgroups v1({"blkio", "freezer"}, nullptr, {"blkio.weight"});
  auto group = v1.Driver("")->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ(Read(**group, "blkio.bfq.weight"), "700");
  const FakeCgroups v2({}, &AllV2(), {"io.weight"});
  group = v2.Driver("")->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ(Read(**group, "io.bfq.weight"), "700");
  const FakeCgroups neither({}, &AllV2(), {"io.weight", "io.bfq.weight"});
  EXPECT_EQ(neither.Driver("")->Create("c0ffee01", limits).status().message(),
            "cannot apply io_weight: cgroup controller io is not available: the kernel has neither "
            "io.weight nor io.bfq.weight");
}

TEST(Cgroup, AValueThatTheKernelChangesSilentlyIsRefused) {
  const FakeCgroups host({}, &AllV2());
  auto group = host.Driver("")->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok());
  const int dir = (*group)->JoinDirs()[0].fd;
  ASSERT_EQ(unlinkat(dir, "pids.max", 0), 0);
  ASSERT_EQ(symlinkat("/dev/null", dir, "pids.max"), 0);
  CgroupLimits limits;
  limits.pids = 12;
  const Status applied = (*group)->Apply(limits);
  EXPECT_EQ(applied.field(), "pids_limit");
  EXPECT_THAT(applied.message(), HasSubstr("cgroup controller pids made '' of '12' in pids.max"));
}

TEST(Cgroup, CpusThatAreNotInForceAreRefused) {
  const FakeCgroups host({}, &AllV2());
  auto group = host.Driver("")->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok());
  const core::Fd effective(openat((*group)->JoinDirs()[0].fd, "cpuset.cpus.effective",
                                  O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
  ASSERT_EQ(write(effective.get(), "0-1\n", 4), 4);
  CgroupLimits limits;
  limits.cpuset = "0,1";
  EXPECT_TRUE((*group)->Apply(limits).ok()) << "another spelling of the same";
  limits.cpuset = "0-2";
  EXPECT_THAT((*group)->Apply(limits).message(), HasSubstr("made '0-1' of '0-2'"));
}

TEST(Cgroup, MemoryBelowThePresentUseIsRefused) {
  const FakeCgroups v1(AllV1(), nullptr), v2({}, &AllV2());
  for (const FakeCgroups* host : {&v1, &v2}) {
    CgroupLimits limits;
    limits.memory_bytes = 2048;
    auto group = host->Driver("")->Create("c0ffee01", {});
    ASSERT_TRUE(group.ok());
    const Status applied = (*group)->Apply(limits);
    EXPECT_EQ(applied.code(), StatusCode::kFailedPrecondition) << applied.ToString();
    EXPECT_EQ(applied.field(), "memory");
  }
}

TEST(Cgroup, AGroupWithProcessesIsNeitherReplacedNorRemoved) {
  const FakeCgroups host({}, &AllV2());
  auto driver = host.Driver("");
  auto group = driver->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok());
  const int dir = (*group)->JoinDirs()[0].fd;
  ASSERT_TRUE(WriteControl(dir, "cgroup.procs", core::StrCat(getpid())).ok());
  EXPECT_THAT(*(*group)->Pids(), ElementsAre(getpid()));
  EXPECT_EQ(driver->Create("c0ffee01", {}).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ((*group)->Remove().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(*driver->List(), ElementsAre("c0ffee01"));
}

TEST(CgroupDetect, ByLayout) {
  struct Case {
    Names v1;
    const Names* v2;
    std::string version;
    size_t dirs;
  };
  const Names none, hugetlb = {"hugetlb"}, memory = {"memory"};
  const Case cases[] = {
      {AllV1(), nullptr, "v1", AllV1().size()},
      {{}, &AllV2(), "v2", 1},
      // v2 has nothing that a group needs: it is not used.
      {AllV1(), &hugetlb, "hybrid", AllV1().size()},
      {AllV1(), &none, "hybrid", AllV1().size()},
      {{"cpu", "freezer"}, &memory, "hybrid", 3},
      {{"cpu"}, &none, "hybrid", 2},  // no freezer on v1
  };
  for (const Case& c : cases) {
    const FakeCgroups host(c.v1, c.v2);
    auto driver = CgroupDriver::Detect("", host.root());
    ASSERT_TRUE(driver.ok()) << driver.status().ToString();
    EXPECT_EQ((*driver)->version(), c.version);
    auto group = host.Driver("")->Create("c0ffee01", {});
    ASSERT_TRUE(group.ok()) << group.status().ToString();
    EXPECT_EQ((*group)->JoinDirs().size(), c.dirs);
  }
  const FakeCgroups host(AllV1(), nullptr);
  EXPECT_THAT((*CgroupDriver::Detect("", host.root()))->controllers(),
              ElementsAre("blkio", "cpu", "cpuacct", "cpuset", "freezer", "memory", "pids"));
}

TEST(CgroupDetect, AParentThatLeavesTheRootIsRefused) {
  const FakeCgroups host(AllV1(), nullptr);
  for (const char* parent : {"..", "a/../b", "./a", "a/.b"}) {
    EXPECT_EQ(CgroupDriver::Detect(parent, host.root()).status().field(), "cgroup_parent")
        << parent;
  }
}

}  // namespace
}  // namespace minibox::kernel
