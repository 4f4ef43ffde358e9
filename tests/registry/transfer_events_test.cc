// SPDX-License-Identifier: Apache-2.0
#include "registry/transfer_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace minibox::registry {
namespace {

using ::testing::ElementsAre;

TEST(TransferEvents, LinesArriveInOrderOnTheCallersThread) {
  TransferEvents events;
  std::thread worker([&] {
    for (int i = 0; i < 3; ++i) events.Line(std::to_string(i));
    events.Close();
  });
  std::vector<std::string> lines;
  const auto caller = std::this_thread::get_id();
  events.Deliver(
      [&](std::string_view line) {
        EXPECT_EQ(std::this_thread::get_id(), caller);
        lines.emplace_back(line);
      },
      {});
  worker.join();
  EXPECT_THAT(lines, ElementsAre("0", "1", "2"));
}

TEST(TransferEvents, TheLastStateOfEachSubjectArrives) {
  TransferEvents events;
  std::thread worker([&] {
    for (uint64_t i = 0; i <= 100'000; ++i) {
      events.Report({Progress::Phase::kTransferring, "a", i, 100'000});
      events.Report({Progress::Phase::kTransferring, "b", i, 100'000});
    }
    events.Report({Progress::Phase::kDone, "a", 7, 7});
    events.Close();
  });
  std::map<std::string, Progress> last;
  std::map<std::string, std::vector<std::chrono::steady_clock::time_point>> times;
  events.Deliver({}, [&](const Progress& progress) {
    last[progress.subject] = progress;
    times[progress.subject].push_back(std::chrono::steady_clock::now());
  });
  worker.join();
  EXPECT_EQ(last["a"].phase, Progress::Phase::kDone);
  EXPECT_EQ(last["b"].done, 100'000u);
  for (const auto& [subject, when] : times) {
    // All but the last, which comes with the end.
    for (size_t i = 1; i + 1 < when.size(); ++i) {
      EXPECT_GE(when[i] - when[i - 1], TransferEvents::kInterval / 2);
    }
  }
}

TEST(TransferEvents, ASlowListenerHoldsUpNobody) {
  TransferEvents events;
  std::atomic<bool> finished = false;
  std::thread worker([&] {
    events.Line("first");
    for (int i = 0; i < 1'000; ++i) events.Report({Progress::Phase::kTransferring, "a", 1, 1});
    events.Close();
    finished = true;
    finished.notify_all();
  });
  events.Deliver([&](std::string_view) { finished.wait(false); }, {});
  worker.join();
}

}  // namespace
}  // namespace minibox::registry
