// SPDX-License-Identifier: Apache-2.0
#include "runtime/run_claim.h"

#include <gtest/gtest.h>

#include "support/scratch.h"

namespace minibox::runtime {
namespace {

class RunClaimTest : public ::testing::Test {
 protected:
  minibox::testing::Scratch scratch_;
  core::RootDir run_dir_ = std::move(*core::RootDir::Open(scratch_.path()));
};

TEST_F(RunClaimTest, IsNotAbandonedWhileItIsHeld) {
  {
    auto claim = RunClaim::Acquire(run_dir_, "step-1");
    ASSERT_TRUE(claim.ok()) << claim.status().ToString();
    auto abandoned = TakeAbandonedClaim(run_dir_, "step-1");
    ASSERT_TRUE(abandoned.ok());
    EXPECT_FALSE(abandoned->has_value());
  }
  EXPECT_FALSE(run_dir_.Exists("step-1"));
}

TEST_F(RunClaimTest, OfADeadProcessIsTakenOver) {
  ASSERT_TRUE(run_dir_.MakeDir("step-1", 0700).ok());
  // Without a lock its owner may be about to take it.
  EXPECT_FALSE(TakeAbandonedClaim(run_dir_, "step-1")->has_value());
  scratch_.Write("step-1/claim", "");
  {
    auto abandoned = TakeAbandonedClaim(run_dir_, "step-1");
    ASSERT_TRUE(abandoned.ok());
    ASSERT_TRUE(abandoned->has_value());
    EXPECT_EQ((*abandoned)->id(), "step-1");
  }
  EXPECT_FALSE(run_dir_.Exists("step-1"));
}

TEST_F(RunClaimTest, RefusesNamesThatMeanSomethingElse) {
  EXPECT_FALSE(RunClaim::Acquire(run_dir_, "0a1b2c3d").ok());
  EXPECT_FALSE(RunClaim::Acquire(run_dir_, "elevenbytes").ok());
  EXPECT_FALSE(RunClaim::Acquire(run_dir_, "").ok());
}

}  // namespace
}  // namespace minibox::runtime
