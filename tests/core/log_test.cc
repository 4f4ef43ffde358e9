// SPDX-License-Identifier: Apache-2.0
#include "core/log.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace minibox::core {
namespace {

TEST(Log, GoesToTheSinkUntilItIsRemoved) {
  std::vector<std::string> seen;
  SetLogSink([&](const LogRecord& record) {
    seen.push_back(std::string(record.module) + ":" + std::string(record.message) + ":" +
                   std::to_string(static_cast<int>(record.severity)));
  });
  LogWarning("store", "a");
  LogDebug("core", "b");
  SetLogSink({});
  LogWarning("store", "dropped");
  EXPECT_EQ(seen, (std::vector<std::string>{"store:a:2", "core:b:0"}));
}

TEST(Log, SinkMayReplaceItself) {
  int calls = 0;
  SetLogSink([&](const LogRecord&) {
    ++calls;
    SetLogSink({});
  });
  LogWarning("core", "first");
  LogWarning("core", "second");
  EXPECT_EQ(calls, 1);
}

TEST(Log, SinkMayBeReplacedWhileThreadsLog) {
  std::atomic<bool> stop = false;
  std::thread logger([&] {
    while (!stop) LogWarning("core", "x");
  });
  std::atomic<int> calls = 0;
  while (calls < 100) SetLogSink([&](const LogRecord&) { ++calls; });
  stop = true;
  logger.join();
  SetLogSink({});
}

}  // namespace
}  // namespace minibox::core
