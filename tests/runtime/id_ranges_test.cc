// SPDX-License-Identifier: Apache-2.0
#include "runtime/id_ranges.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "support/scratch.h"

namespace minibox::runtime {
namespace {

class IdRangesTest : public ::testing::Test {
 protected:
  minibox::testing::Scratch scratch_;
  core::RootDir run_dir_ = std::move(*core::RootDir::Open(scratch_.path()));
};

TEST_F(IdRangesTest, BeginAtTheBaseAndTakeTheLowestFree) {
  const auto ranges = IdRanges::Open(run_dir_, 100000, 65536);
  ASSERT_TRUE(ranges.ok());
  EXPECT_EQ(*ranges->Acquire("a"), (IdRange{100000, 65536, false}));
  EXPECT_EQ(*ranges->Acquire("b"), (IdRange{165536, 65536, false}));
  EXPECT_EQ(ranges->Acquire("c")->base, 231072u);
  ASSERT_TRUE(ranges->Release("b").ok());
  EXPECT_TRUE(ranges->Release("b").ok());
  EXPECT_EQ(ranges->Acquire("d")->base, 165536u);
}

TEST_F(IdRangesTest, AreSharedBetweenProcessesByTheirDirectory) {
  const auto ours = IdRanges::Open(run_dir_, 1000, 10), theirs = IdRanges::Open(run_dir_, 1000, 10);
  EXPECT_EQ(ours->Acquire("a")->base, 1000u);
  EXPECT_EQ(theirs->Acquire("b")->base, 1010u);
  ASSERT_TRUE(theirs->Release("a").ok());
  EXPECT_EQ(ours->Acquire("c")->base, 1000u);
}

TEST_F(IdRangesTest, TheLastIsSharedWhenAllAreTaken) {
  const auto ranges = IdRanges::Open(run_dir_, 1u << 31, 1u << 30);
  ASSERT_TRUE(ranges.ok());
  EXPECT_EQ(*ranges->Acquire("a"), (IdRange{1u << 31, 1u << 30, false}));
  EXPECT_EQ(*ranges->Acquire("b"), (IdRange{1u << 31, 1u << 30, true}));
  ASSERT_TRUE(ranges->Release("a").ok());
  EXPECT_TRUE(ranges->Acquire("c")->shared);  // with "b", which is still there
  ASSERT_TRUE(ranges->Release("b").ok());
  ASSERT_TRUE(ranges->Release("c").ok());
  EXPECT_FALSE(ranges->Acquire("d")->shared);
}

TEST_F(IdRangesTest, OneThatOthersJoinedIsFreeWhenAllHaveReleasedIt) {
  const auto ranges = IdRanges::Open(run_dir_, 1000, 10);
  const auto first = ranges->Acquire("a");
  ASSERT_TRUE(first.ok());
  ASSERT_TRUE(ranges->Join("b", *first).ok());
  ASSERT_TRUE(ranges->Join("b", *first).ok());
  ASSERT_TRUE(ranges->Release("a").ok());
  EXPECT_NE(ranges->Acquire("c")->base, first->base);
  ASSERT_TRUE(ranges->Release("b").ok());
  EXPECT_EQ(*ranges->Acquire("d"), *first);
}

TEST_F(IdRangesTest, RefusesARangeThatDoesNotFit) {
  EXPECT_EQ(IdRanges::Open(run_dir_, 4294967000, 65536).status().field(), "subid_base");
  EXPECT_FALSE(IdRanges::Open(run_dir_, 0, 65536).ok());
  EXPECT_FALSE(IdRanges::Open(run_dir_, 1000, 0).ok());
}

TEST_F(IdRangesTest, SweepReleasesTheDead) {
  const auto ranges = IdRanges::Open(run_dir_, 1000, 10);
  for (const char* owner : {"a", "b", "c"}) ASSERT_TRUE(ranges->Acquire(owner).ok());
  ASSERT_TRUE(ranges->Sweep([](std::string_view owner) { return owner == "b"; }).ok());
  EXPECT_EQ(ranges->Acquire("d")->base, 1000u);
  EXPECT_EQ(ranges->Acquire("e")->base, 1020u);
}

TEST_F(IdRangesTest, ConcurrentOwnersNeverGetTheSame) {
  const auto ranges = IdRanges::Open(run_dir_, 1000, 10);
  std::set<uint32_t> bases;
  absl::Mutex mutex;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 25; ++i) {
        const auto range = ranges->Acquire(std::to_string(t) + "-" + std::to_string(i));
        const absl::MutexLock lock(&mutex);
        bases.insert(range->base);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(bases.size(), 100u);
}

}  // namespace
}  // namespace minibox::runtime
