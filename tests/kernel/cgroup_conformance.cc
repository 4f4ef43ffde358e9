// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup_conformance.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "core/strings.h"
#include "kernel/cgroup_control.h"

namespace minibox::kernel {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kMiB = 1 << 20;

void CgroupConformance::SetUp() {
  host_ = GetParam().make();
  if (host_->is_kernel()) MBX_REQUIRE_ROOT();
  driver_ = host_->Driver(kTestParent);
  ASSERT_NE(driver_, nullptr);
}

void CgroupConformance::ExpectNothingLeft() {
  for (const std::string& root : host_->Roots()) {
    EXPECT_FALSE(std::filesystem::exists(root + "/" + kTestParent)) << root;
  }
}

std::string CgroupConformance::Value(const Cgroup& group,
                                     std::initializer_list<const char*> files) {
  for (const char* file : files) {
    for (const auto& dir : group.JoinDirs()) {
      if (const auto value = ReadControl(dir.fd, file); value.ok()) return *value;
    }
  }
  return "no such file";
}

bool CgroupConformance::Has(std::string_view controller) const {
  const auto all = driver_->controllers();
  return std::find(all.begin(), all.end(), controller) != all.end();
}

TEST_P(CgroupConformance, AGroupIsMadeFoundAndRemovedWithItsParents) {
  auto group = driver_->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ((*group)->path(), "/mbxtest-kernel/minibox/c0ffee01");
  EXPECT_THAT((*group)->warnings(), IsEmpty());
  ASSERT_FALSE((*group)->JoinDirs().empty());
  for (const auto& dir : (*group)->JoinDirs()) {
    EXPECT_EQ(faccessat(dir.fd, dir.v2 ? "cgroup.procs" : "tasks", W_OK, 0), 0);
  }
  EXPECT_THAT(*driver_->List(), ElementsAre("c0ffee01"));
  auto again = driver_->Open("c0ffee01");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ((*again)->JoinDirs().size(), (*group)->JoinDirs().size());
  EXPECT_THAT(*(*again)->Pids(), IsEmpty());

  EXPECT_TRUE((*again)->Remove().ok());
  EXPECT_THAT(*driver_->List(), IsEmpty());
  EXPECT_TRUE((*group)->Remove().ok()) << "absent is fine";
  EXPECT_EQ(driver_->Open("c0ffee01").status().code(), StatusCode::kNotFound);
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, OtherGroupsKeepTheParents) {
  auto one = driver_->Create("c0ffee01", {}), two = driver_->Create("c0ffee02", {});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_TRUE((*one)->Remove().ok());
  EXPECT_THAT(*driver_->List(), ElementsAre("c0ffee02"));
  EXPECT_TRUE((*two)->Remove().ok());
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, AParentThatWasThereStays) {
  std::vector<std::string> made;
  for (const std::string& root : host_->Roots()) {
    if (mkdir((root + "/" + kTestParent).c_str(), 0755) == 0) made.push_back(root);
  }
  if (!host_->is_kernel()) {
    // An imitation's directory needs its note of controllers.
    for (const std::string& root : made) {
      std::filesystem::copy_file(root + "/.controllers",
                                 root + "/" + kTestParent + "/.controllers");
    }
  }
  auto group = driver_->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok());
  EXPECT_TRUE((*group)->Remove().ok());
  for (const std::string& root : made) {
    const std::string path = root + "/" + kTestParent;
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
    EXPECT_FALSE(std::filesystem::exists(path + "/minibox")) << path;
    (void)unlink((path + "/.controllers").c_str());
    EXPECT_EQ(rmdir(path.c_str()), 0) << path;
  }
}

TEST_P(CgroupConformance, LimitsAreInForceBeforeAnythingRuns) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.cpu_quota_us = 50000;
  limits.cpuset = "0";
  limits.pids = 100;
  auto group = driver_->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  const auto usage = (*group)->Usage();
  ASSERT_TRUE(usage.ok());
  EXPECT_EQ(usage->memory_limit, 64u * kMiB);
  EXPECT_EQ(usage->pids_limit, 100u);
  // Without the group the same is told.
  const auto by_id = driver_->Usage("c0ffee01");
  ASSERT_TRUE(by_id.ok()) << by_id.status().ToString();
  EXPECT_EQ(by_id->memory_limit, usage->memory_limit);
  EXPECT_EQ(by_id->pids_limit, 100u);
  EXPECT_EQ(by_id->unavailable, usage->unavailable);
  EXPECT_TRUE(driver_->CpuUsec("c0ffee01").ok());
  EXPECT_EQ(Value(**group, {"cpuset.cpus"}), "0");
  const std::string quota = Value(**group, {"cpu.max", "cpu.cfs_quota_us"});
  EXPECT_TRUE(quota == "50000 100000" || quota == "50000") << quota;
  EXPECT_TRUE((*group)->Remove().ok());
  EXPECT_EQ(driver_->Usage("c0ffee01").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(driver_->CpuUsec("c0ffee01").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(driver_->Usage("../c0ffee01").status().code(), StatusCode::kInvalidArgument);
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, MemoryOfOddBytesIsTaken) {
  CgroupLimits limits;
  limits.memory_bytes = 32 * kMiB + 1;
  auto group = driver_->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_TRUE((*group)->Remove().ok());
}

TEST_P(CgroupConformance, SwapIsOffUnlessAskedFor) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  const auto swap = [&]() -> std::string {
    auto group = driver_->Create("c0ffee01", limits);
    EXPECT_TRUE(group.ok()) << group.status().ToString();
    if (!group.ok()) return "";
    std::string value = Value(**group, {"memory.swap.max", "memory.memsw.limit_in_bytes"});
    EXPECT_TRUE((*group)->Remove().ok());
    return value;
  };
  // v2 counts swap alone, v1 with memory.
  const std::string none = swap();
  if (none == "no such file") GTEST_SKIP() << "needs a kernel that counts swap";
  EXPECT_TRUE(none == "0" || none == core::StrCat(64 * kMiB)) << none;
  limits.memory_swap_bytes = 96 * kMiB;
  const std::string some = swap();
  EXPECT_TRUE(some == core::StrCat(32 * kMiB) || some == core::StrCat(96 * kMiB)) << some;
  limits.memory_swap_bytes = -1;
  const std::string any = swap();
  EXPECT_TRUE(any == "max" || any == "-1" || any == "9223372036854771712") << any;
}

TEST_P(CgroupConformance, IoWeightIsAppliedOrRefusedByName) {
  CgroupLimits limits;
  limits.io_weight = 800;
  auto group = driver_->Create("c0ffee01", limits);
  if (!group.ok()) {
    EXPECT_EQ(group.status().reason(), "unsupported_by_host");
    EXPECT_EQ(group.status().field(), "io_weight");
    EXPECT_THAT(group.status().message(), HasSubstr("cannot apply io_weight: cgroup controller "));
  } else {
    const std::string weight =
        Value(**group, {"io.weight", "io.bfq.weight", "blkio.weight", "blkio.bfq.weight"});
    // 801 is 800 of 1-1000 on the scale 10-1000.
    EXPECT_TRUE(weight == "800" || weight == "default 800" || weight == "801") << weight;
    EXPECT_TRUE((*group)->Remove().ok());
  }
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, MinusOneIsNoLimit) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.cpu_quota_us = 50000;
  limits.pids = 10;
  auto group = driver_->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  limits = {};
  limits.memory_bytes = limits.cpu_quota_us = limits.pids = -1;
  const Status applied = (*group)->Apply(limits);
  EXPECT_TRUE(applied.ok()) << applied.ToString();
  const auto usage = (*group)->Usage();
  EXPECT_EQ(usage->memory_limit, 0u);
  EXPECT_EQ(usage->pids_limit, 0u);
  const std::string quota = Value(**group, {"cpu.max", "cpu.cfs_quota_us"});
  EXPECT_TRUE(quota == "max 100000" || quota == "-1") << quota;
  EXPECT_TRUE((*group)->Remove().ok());
}

TEST_P(CgroupConformance, MemoryGrowsAndShrinks) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  auto group = driver_->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  for (const int64_t size : {256 * kMiB, 16 * kMiB, 32 * kMiB}) {
    limits.memory_bytes = size;
    const Status applied = (*group)->Apply(limits);
    EXPECT_TRUE(applied.ok()) << applied.ToString();
    EXPECT_EQ((*group)->Usage()->memory_limit, static_cast<uint64_t>(size));
  }
  EXPECT_TRUE((*group)->Remove().ok());
}

TEST_P(CgroupConformance, AnUpdateIsAllOrNothing) {
  CgroupLimits limits;
  limits.memory_bytes = 64 * kMiB;
  limits.cpu_quota_us = 50000;
  auto group = driver_->Create("c0ffee01", limits);
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  host_->BreakCpuset(**group);
  limits.memory_bytes = 128 * kMiB;
  limits.cpu_quota_us = 70000;
  limits.cpuset = "4095";
  const Status applied = (*group)->Apply(limits);
  EXPECT_EQ(applied.code(), StatusCode::kInvalidArgument) << applied.ToString();
  EXPECT_EQ(applied.field(), "cpuset");
  EXPECT_THAT(applied.message(), HasSubstr("cgroup controller cpuset refuses '4095'"));
  EXPECT_EQ((*group)->Usage()->memory_limit, 64u * kMiB);
  const std::string quota = Value(**group, {"cpu.max", "cpu.cfs_quota_us"});
  EXPECT_TRUE(quota == "50000 100000" || quota == "50000") << quota;
  EXPECT_TRUE((*group)->Remove().ok());
  EXPECT_EQ(driver_->Usage("c0ffee01").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(driver_->CpuUsec("c0ffee01").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(driver_->Usage("../c0ffee01").status().code(), StatusCode::kInvalidArgument);
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, LimitsThatContradictAreRefusedBeforeAnythingIsMade) {
  CgroupLimits swap_alone;
  swap_alone.memory_swap_bytes = 64 * kMiB;
  EXPECT_EQ(driver_->Create("c0ffee01", swap_alone).status().field(), "memory_swap");
  CgroupLimits too_little;
  too_little.memory_bytes = 64 * kMiB;
  too_little.memory_swap_bytes = 32 * kMiB;
  EXPECT_EQ(driver_->Create("c0ffee01", too_little).status().field(), "memory_swap");
  for (const uint16_t weight : {uint16_t{0}, uint16_t{1001}}) {
    CgroupLimits io;
    io.io_weight = weight;
    EXPECT_EQ(driver_->Create("c0ffee01", io).status().field(), "io_weight");
  }
  for (const char* list : {"a", "1-", "3-1", "0,,1", "0-99999999", "-1", "0\n1"}) {
    CgroupLimits cpus;
    cpus.cpuset = list;
    EXPECT_EQ(driver_->Create("c0ffee01", cpus).status().field(), "cpuset") << list;
  }
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, NamesThatLeaveTheParentAreRefused) {
  for (const std::string_view id :
       {std::string_view(""), std::string_view("."), std::string_view(".."),
        std::string_view("a/b"), std::string_view(".hidden"), std::string_view("a\0b", 3)}) {
    EXPECT_EQ(driver_->Create(id, {}).status().code(), StatusCode::kInvalidArgument) << id;
    EXPECT_EQ(driver_->Open(id).status().code(), StatusCode::kInvalidArgument) << id;
  }
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, AnEmptyGroupLeftByACrashIsReplaced) {
  CgroupLimits limits;
  limits.pids = 7;
  ASSERT_TRUE(driver_->Create("c0ffee01", limits).ok());
  auto group = driver_->Create("c0ffee01", {});
  ASSERT_TRUE(group.ok()) << group.status().ToString();
  EXPECT_EQ((*group)->Usage()->pids_limit, 0u);
  EXPECT_TRUE((*group)->Remove().ok());
  ExpectNothingLeft();
}

TEST_P(CgroupConformance, GroupsComeAndGoConcurrently) {
  constexpr int kThreads = 4, kRounds = 10;
  auto first = driver_->Create("c0ffeeff", {});
  ASSERT_TRUE(first.ok());
  const size_t dirs_per_group = (*first)->JoinDirs().size();
  ASSERT_TRUE((*first)->Remove().ok());
  std::vector<std::thread> threads;
  std::vector<std::string> failures(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < kRounds && failures[t].empty(); ++round) {
        auto group = driver_->Create(core::StrCat("c0ffee", t), {});
        if (!group.ok()) {
          failures[t] = group.status().ToString();
        } else if (const auto dirs = (*group)->JoinDirs(); dirs.size() != dirs_per_group) {
          failures[t] = core::StrCat("only ", dirs.size(), " directories");
        }
        if (group.ok()) {
          if (const Status removed = (*group)->Remove(); !removed.ok()) {
            failures[t] = removed.ToString();
          }
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(failures, ::testing::Each(""));
  ExpectNothingLeft();
}

}  // namespace minibox::kernel
