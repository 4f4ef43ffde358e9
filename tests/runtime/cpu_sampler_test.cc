// SPDX-License-Identifier: Apache-2.0
#include "runtime/cpu_sampler.h"

#include <gtest/gtest.h>

#include <atomic>

namespace minibox::runtime {
namespace {

using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

Time At(int ms) { return Time(milliseconds(ms)); }

TEST(CpuHistory, TheBaseIsHalfASecondToTwoSecondsOld) {
  CpuHistory history;
  EXPECT_FALSE(history.BaseFor(At(0)).has_value());
  history.Add({At(0), 100});
  EXPECT_FALSE(history.BaseFor(At(499)).has_value());
  EXPECT_EQ(history.BaseFor(At(500))->usec, 100u);
  history.Add({At(500), 200});
  history.Add({At(1000), 300});
  EXPECT_EQ(history.BaseFor(At(1499))->usec, 200u);
  EXPECT_EQ(history.BaseFor(At(1500))->usec, 300u);
  EXPECT_EQ(history.BaseFor(At(3000))->usec, 300u);
  EXPECT_FALSE(history.BaseFor(At(3001)).has_value());
}

TEST(CpuHistory, OldSamplesGo) {
  CpuHistory history;
  for (int i = 0; i < 1000; ++i) history.Add({At(i * 500), static_cast<uint64_t>(i)});
  EXPECT_EQ(history.BaseFor(At(999 * 500 + 500))->usec, 999u);
}

TEST(CpuPercent, OfOneProcessor) {
  EXPECT_DOUBLE_EQ(CpuPercent({At(0), 0}, {At(1000), 250'000}), 25.0);
  EXPECT_DOUBLE_EQ(CpuPercent({At(0), 0}, {At(1000), 2'000'000}), 200.0);
  // A restart counts from 0 again; time stands still.
  EXPECT_DOUBLE_EQ(CpuPercent({At(0), 10}, {At(1000), 5}), 0.0);
  EXPECT_DOUBLE_EQ(CpuPercent({At(5), 0}, {At(5), 5}), 0.0);
}

TEST(CpuSampler, TheFirstQuestionGetsASampleAndOthersDoNotDisturb) {
  auto loop = core::EventLoop::Create();
  ASSERT_TRUE(loop.ok());
  core::ThreadPool pool(1);
  std::atomic<uint64_t> usec = 0;
  CpuSampler sampler([&](const ContainerId&) { return usec.fetch_add(1000); }, loop->get(), &pool);
  const ContainerId id = *ContainerId::Parse("0123abcd");
  const auto first = sampler.Ask({id});
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].usec, 0u);
  EXPECT_TRUE(sampler.Ask({}).empty());
  sampler.Close();
}

}  // namespace
}  // namespace minibox::runtime
