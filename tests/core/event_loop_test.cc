// SPDX-License-Identifier: Apache-2.0
#include "core/event_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "core/fd.h"

namespace minibox::core {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class EventLoopTest : public ::testing::Test {
 protected:
  // Runs what is on the loop's thread now, and returns.
  void Flush() {
    std::promise<void> reached;
    loop_->Post([&] { reached.set_value(); });
    reached.get_future().wait();
  }
  static Fd NewEvent(unsigned initial) { return Fd(eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK)); }
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
};

TEST_F(EventLoopTest, CallsBackWhenReady) {
  const Fd event = NewEvent(0);
  std::promise<uint32_t> ready;
  EventLoop::Id id = 0;
  id = *loop_->Add(event.get(), EPOLLIN, [&](uint32_t events) {
    loop_->Remove(id);
    ready.set_value(events);
  });
  eventfd_write(event.get(), 1);
  EXPECT_EQ(ready.get_future().get(), uint32_t{EPOLLIN});
}

TEST_F(EventLoopTest, ReportsHangUp) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const Fd read_end(ends[0]);
  std::promise<uint32_t> ready;
  EventLoop::Id id = 0;
  id = *loop_->Add(read_end.get(), EPOLLIN, [&](uint32_t events) {
    loop_->Remove(id);
    ready.set_value(events);
  });
  close(ends[1]);
  EXPECT_NE(ready.get_future().get() & EPOLLHUP, 0u);
}

TEST_F(EventLoopTest, RemoveInTheCallbackEndsIt) {
  const Fd event = NewEvent(1);  // stays readable: level-triggered callbacks would go on
  std::atomic<int> calls = 0;
  EventLoop::Id id = 0;
  std::promise<void> added;
  auto added_future = added.get_future();
  id = *loop_->Add(event.get(), EPOLLIN, [&](uint32_t) {
    added_future.wait();
    ++calls;
    loop_->Remove(id);
    loop_->Remove(id);
  });
  added.set_value();
  while (calls == 0) std::this_thread::yield();
  Flush();
  Flush();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, CallbackRemovesAnotherThatIsReadyToo) {
  const Fd first = NewEvent(0), second = NewEvent(0);
  std::atomic<int> calls = 0;
  EventLoop::Id ids[2];
  // Whichever runs removes both; both become ready while the loop is busy.
  const auto callback = [&](uint32_t) {
    ++calls;
    loop_->Remove(ids[0]);
    loop_->Remove(ids[1]);
  };
  std::promise<void> go;
  auto go_future = go.get_future();
  loop_->Post([&] { go_future.wait(); });
  ids[0] = *loop_->Add(first.get(), EPOLLIN, callback);
  ids[1] = *loop_->Add(second.get(), EPOLLIN, callback);
  eventfd_write(first.get(), 1);
  eventfd_write(second.get(), 1);
  go.set_value();
  while (calls == 0) std::this_thread::yield();
  Flush();
  Flush();
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, RemoveFromAnotherThreadWaitsForTheCallback) {
  const Fd event = NewEvent(1);
  std::promise<void> entered, release;
  auto release_future = release.get_future();
  std::atomic<bool> finished = false, entered_once = false;
  const auto id = *loop_->Add(event.get(), EPOLLIN, [&](uint32_t) {
    if (entered_once.exchange(true)) return;
    entered.set_value();
    release_future.wait();
    finished = true;
  });
  entered.get_future().wait();
  std::thread releaser([&] { release.set_value(); });
  loop_->Remove(id);
  EXPECT_TRUE(finished);
  releaser.join();
}

TEST_F(EventLoopTest, TimersRunInOrderOfTime) {
  std::vector<int> order;
  std::promise<void> last;
  const auto now = steady_clock::now();
  loop_->AddTimer(now + milliseconds(20), [&] {
    order.push_back(3);
    last.set_value();
  });
  loop_->AddTimer(now + milliseconds(10), [&] { order.push_back(2); });
  loop_->AddTimer(now - hours(1), [&] { order.push_back(1); });
  last.get_future().wait();
  EXPECT_GE(steady_clock::now(), now + milliseconds(20));
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST_F(EventLoopTest, AnEarlierTimerShortensTheWait) {
  loop_->AddTimer(steady_clock::now() + hours(100), [] {});
  Flush();
  std::promise<void> ran;
  loop_->AddTimer(steady_clock::now() + milliseconds(5), [&] { ran.set_value(); });
  EXPECT_EQ(ran.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(EventLoopTest, RemovedTimerDoesNotRun) {
  std::atomic<bool> ran = false;
  const auto when = steady_clock::now() + milliseconds(5);
  const auto id = loop_->AddTimer(when, [&] { ran = true; });
  loop_->Remove(id);
  std::promise<void> later;
  loop_->AddTimer(when + milliseconds(1), [&] { later.set_value(); });
  later.get_future().wait();
  EXPECT_FALSE(ran);
}

TEST_F(EventLoopTest, SelfRearmingTimerDoesNotStarveDescriptors) {
  std::atomic<bool> stop = false;
  std::function<void()> again = [&] {
    if (!stop) loop_->AddTimer(steady_clock::now(), again);
  };
  again();
  const Fd event = NewEvent(1);
  std::promise<void> called;
  EventLoop::Id id = 0;
  loop_->Post([&] {
    id = *loop_->Add(event.get(), EPOLLIN, [&](uint32_t) {
      loop_->Remove(id);
      called.set_value();
    });
  });
  called.get_future().wait();
  stop = true;
  Flush();
}

TEST_F(EventLoopTest, PostsRunInOrderOnTheLoopsThread) {
  std::vector<int> order;
  std::thread::id thread;
  for (int i = 0; i < 100; ++i) loop_->Post([&order, i] { order.push_back(i); });
  loop_->Post([&] { thread = std::this_thread::get_id(); });
  Flush();
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
  EXPECT_NE(thread, std::this_thread::get_id());
}

TEST_F(EventLoopTest, NothingRunsAfterDestruction) {
  const Fd event = NewEvent(1);
  std::atomic<int> calls = 0;
  (void)*loop_->Add(event.get(), EPOLLIN, [&](uint32_t) { ++calls; });
  loop_->AddTimer(steady_clock::now() + milliseconds(1), [&] { ++calls; });
  loop_.reset();
  const int at_end = calls;
  std::this_thread::yield();
  EXPECT_EQ(calls, at_end);
}

TEST_F(EventLoopTest, WhatACallbackOwnsMayUseTheLoop) {
  const Fd event = NewEvent(0);
  struct Owner {
    EventLoop* loop;
    ~Owner() {
      loop->Post([] {});
    }
  };
  auto owner = std::make_shared<Owner>(Owner{loop_.get()});
  const auto id = *loop_->Add(event.get(), EPOLLIN, [owner](uint32_t) {});
  owner.reset();
  loop_->Remove(id);
  Flush();
}

TEST_F(EventLoopTest, RefusesWhatEpollRefuses) {
  EXPECT_FALSE(loop_->Add(-1, EPOLLIN, [](uint32_t) {}).ok());
  const Fd event = NewEvent(0);
  const auto id = loop_->Add(event.get(), EPOLLIN, [](uint32_t) {});
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(loop_->Add(event.get(), EPOLLIN, [](uint32_t) {}).status().code(),
            StatusCode::kAlreadyExists);
  loop_->Remove(*id);
  loop_->Remove(4711);
}

}  // namespace
}  // namespace minibox::core
