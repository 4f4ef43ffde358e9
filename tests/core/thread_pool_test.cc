// SPDX-License-Identifier: Apache-2.0
#include "core/thread_pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <future>
#include <latch>
#include <vector>

namespace minibox::core {
namespace {

TEST(ThreadPool, RunsEverythingQueuedBeforeItEnds) {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(3);
    for (int i = 0; i < 1000; ++i) pool.Submit([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

TEST(ThreadPool, OneThreadKeepsTheOrder) {
  std::vector<int> order;
  {
    ThreadPool pool(1);
    for (int i = 0; i < 100; ++i) pool.Submit([&order, i] { order.push_back(i); });
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(order[i], i);
}

TEST(ThreadPool, TasksRunAtTheSameTime) {
  std::latch meet(2);
  ThreadPool pool(2);
  pool.Submit([&] { meet.arrive_and_wait(); });
  pool.Submit([&] { meet.arrive_and_wait(); });
}

TEST(ThreadPool, TasksMaySubmitTasks) {
  std::promise<void> inner;
  ThreadPool pool(1);
  pool.Submit([&] { pool.Submit([&] { inner.set_value(); }); });
  inner.get_future().wait();
}

TEST(ThreadPool, ItsThreadsTakeNoSignals) {
  std::promise<bool> blocked;
  ThreadPool pool(1);
  pool.Submit([&] {
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    blocked.set_value(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1);
  });
  EXPECT_TRUE(blocked.get_future().get());
  sigset_t mask;
  pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGTERM), 0);
}

TEST(ThreadPool, ClosingRunsWhatTasksSubmit) {
  ThreadPool pool(2);
  std::atomic<int> ran = 0;
  pool.Submit([&] {
    pool.Submit([&] {
      pool.Submit([&] { ++ran; });
      ++ran;
    });
    ++ran;
  });
  pool.Close();
  EXPECT_EQ(ran, 3);
}

}  // namespace
}  // namespace minibox::core
