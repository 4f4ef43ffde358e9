// SPDX-License-Identifier: Apache-2.0
#include "build/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <barrier>
#include <mutex>

namespace minibox::build {
namespace {

using ::testing::ElementsAre;

// Jobs that note their order.
struct Recorder {
  std::mutex mutex;
  std::vector<int> order;
  void Note(int job) {
    const std::lock_guard lock(mutex);
    order.push_back(job);
  }
};

TEST(Scheduler, EachJobOnceAfterItsDependencies) {
  std::vector<Job> jobs(100);
  for (int i = 0; i < 100; ++i) {
    for (int j = i % 7; j < i; j += 5) jobs[static_cast<size_t>(i)].dependencies.push_back(j);
  }
  for (const int workers : {1, 2, 16}) {
    std::vector<std::atomic<int>> runs(jobs.size());
    const Status status = RunJobs(jobs, workers, [&](int job) {
      for (const int on : jobs[static_cast<size_t>(job)].dependencies) {
        EXPECT_EQ(runs[static_cast<size_t>(on)].load(), 1);
      }
      ++runs[static_cast<size_t>(job)];
      return Status();
    });
    EXPECT_TRUE(status.ok());
    for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
  }
}

TEST(Scheduler, LongestChainFirstThenFileOrder) {
  // 3 <- 4 <- 5 is the longest chain; 0 and 1 are single, 2 has one dependent (6).
  std::vector<Job> jobs(7);
  jobs[4].dependencies = {3};
  jobs[5].dependencies = {4};
  jobs[6].dependencies = {2};
  Recorder recorder;
  ASSERT_TRUE(RunJobs(jobs, 1, [&](int job) {
                recorder.Note(job);
                return Status();
              }).ok());
  EXPECT_THAT(recorder.order, ElementsAre(3, 2, 4, 0, 1, 5, 6));
}

TEST(Scheduler, IndependentJobsRunAtOnce) {
  // Nobody gets past the barrier alone.
  std::barrier all(4);
  std::vector<Job> jobs(4);
  EXPECT_TRUE(RunJobs(jobs, 4, [&](int) {
                all.arrive_and_wait();
                return Status();
              }).ok());
}

TEST(Scheduler, NoBarrierBetweenGenerations) {
  // 2 needs only 0 and must run while 1, of the first generation, waits for it.
  std::vector<Job> jobs(3);
  jobs[2].dependencies = {0};
  std::barrier both(2);
  EXPECT_TRUE(RunJobs(jobs, 2, [&](int job) {
                if (job != 0) both.arrive_and_wait();
                return Status();
              }).ok());
}

TEST(Scheduler, NeverMoreThanItsWorkers) {
  std::atomic<int> running = 0, most = 0;
  std::vector<Job> jobs(50);
  EXPECT_TRUE(RunJobs(jobs, 3, [&](int) {
                const int now = ++running;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                --running;
                return Status();
              }).ok());
  EXPECT_LE(most.load(), 3);
}

TEST(Scheduler, FirstFailureStartsNothingNewAndLetsRunningOnesEnd) {
  std::barrier both(2);
  std::atomic<bool> other_ended = false;
  std::vector<Job> jobs(5);
  jobs[2].dependencies = {0};
  jobs[3].dependencies = {1};
  Recorder recorder;
  const Status status = RunJobs(jobs, 2, [&](int job) -> Status {
    recorder.Note(job);
    both.arrive_and_wait();
    if (job == 0) return Status(StatusCode::kAborted, "first");
    other_ended = true;
    return Status(StatusCode::kAborted, "second");
  });
  EXPECT_EQ(status.code(), StatusCode::kAborted);
  EXPECT_TRUE(other_ended.load());
  EXPECT_EQ(recorder.order.size(), 2u);
}

TEST(Scheduler, NoJobs) {
  EXPECT_TRUE(RunJobs({}, 4, [](int) { return Status(StatusCode::kInternal, "x"); }).ok());
}

}  // namespace
}  // namespace minibox::build
