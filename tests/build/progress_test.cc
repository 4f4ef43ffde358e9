// SPDX-License-Identifier: Apache-2.0
#include "build/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "build/parser.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Drain(BuildLog& log) {
  log.Close();
  std::vector<std::string> lines;
  EXPECT_TRUE(log.Deliver(
                     [&](const BuildEvent& event) {
                       lines.emplace_back(event.text);
                       return Status();
                     },
                     std::chrono::hours(1), [] { return std::vector<std::string>(); })
                  .ok());
  return lines;
}

TEST(Waves, AreAnnouncedOnceAndSummedUp) {
  Diagnostics diagnostics;
  const File file =
      ParseFile("BASE x\nBLOCK a\nBLOCK b\nBLOCK c\n  NEED a\nBLOCK unused\nBLOCK d\n  NEED b c\n",
                diagnostics);
  const Arguments arguments;
  const Graph graph = BuildGraph(file, arguments, -1, diagnostics);
  BuildLog log;
  Waves waves(file, graph, log);
  waves.BlockStarts(1, "[b] START");
  waves.BlockStarts(0, "[a] START");
  waves.BlockEnds(0, true, 0);
  waves.BlockStarts(2, "[c] START");
  waves.BlockEnds(2, false, 1'500'000);
  waves.BlockEnds(1, false, 2'000);
  EXPECT_THAT(waves.Summary(), "[dag-summary] blocks=4 cached=1 built=2");
  EXPECT_THAT(Drain(log), ElementsAre("[dag] wave=1 ready=a,b", "[b] START", "[a] START",
                                      "[dag] wave=2 ready=c", "[c] START",
                                      "[dag] wave=2 done cached=0 built=1 cpu_time=1.5s",
                                      "[dag] wave=1 done cached=1 built=1 cpu_time=2ms"));
}

TEST(BuildLog, CallbackErrorClosesIt) {
  BuildLog log;
  log.Write("one");
  log.Write("two");
  int calls = 0;
  const Status status = log.Deliver(
      [&](const BuildEvent&) {
        ++calls;
        return Status(StatusCode::kAborted, "gone");
      },
      std::chrono::hours(1), [] { return std::vector<std::string>(); });
  EXPECT_EQ(status.code(), StatusCode::kAborted);
  EXPECT_EQ(calls, 1);
  log.Write("dropped, not stuck");
}

TEST(BuildLog, SlowReaderHoldsWritersBackAndLosesNothing) {
  BuildLog log;
  const std::string line(BuildLog::kCapacity / 4, 'x');
  std::thread writer([&] {
    for (int i = 0; i < 40; ++i) log.Write(line);
    log.Close();
  });
  int lines = 0;
  EXPECT_TRUE(log.Deliver(
                     [&](const BuildEvent&) {
                       ++lines;
                       return Status();
                     },
                     std::chrono::hours(1), [] { return std::vector<std::string>(); })
                  .ok());
  writer.join();
  EXPECT_EQ(lines, 40);
}

TEST(Silence, TellsOfStepsThatSayNothing) {
  Silence never(std::chrono::hours(1)), at_once(std::chrono::milliseconds(0));
  {
    Silence::Step quiet(never, "[a] "), loud(at_once, "[b] ");
    EXPECT_THAT(never.Lines(), ElementsAre());
    EXPECT_THAT(at_once.Lines(), ElementsAre("[b] ... (still working)"));
  }
  EXPECT_THAT(at_once.Lines(), ElementsAre());
}

}  // namespace
}  // namespace minibox::build
