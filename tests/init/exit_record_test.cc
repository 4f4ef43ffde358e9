// SPDX-License-Identifier: Apache-2.0
#include "init/exit_record.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstring>

#include "core/clock.h"
#include "core/fd.h"
#include "support/scratch.h"

namespace minibox::init {
namespace {

ExitedMessage At(int64_t ns) {
  ExitedMessage exit{};
  exit.at_ns = ns;
  return exit;
}

TEST(FormatExit, SaysWhatApplies) {
  ExitedMessage exit = At(1767323045678901234);
  exit.code = 3;
  EXPECT_STREQ(
      FormatExit(exit).c_str(),
      "{\"exit_code\":3,\"signal\":0,\"finished_at\":\"2026-01-02T03:04:05.678901234Z\"}\n");
  exit.code = 137;
  exit.signal = 9;
  exit.oom_killed = 1;
  std::strcpy(exit.error, "timeout");
  EXPECT_STREQ(FormatExit(exit).c_str(),
               "{\"exit_code\":137,\"signal\":9,\"oom_killed\":true,"
               "\"finished_at\":\"2026-01-02T03:04:05.678901234Z\",\"error\":\"timeout\"}\n");
}

TEST(FormatExit, AgreesWithTheClock) {
  constexpr int64_t kDay = 86'400'000'000'000;
  for (int64_t ns = 1; ns < 40000 * kDay; ns += 17 * kDay + 12'345'678'901) {
    const TimePoint time{
        std::chrono::duration_cast<TimePoint::duration>(std::chrono::nanoseconds(ns))};
    EXPECT_NE(std::string(FormatExit(At(ns)).c_str()).find(core::FormatTime(time)),
              std::string::npos)
        << ns;
  }
}

TEST(RecordExit, ReplacesTheFile) {
  testing::Scratch scratch;
  scratch.Write("exit.json", "old");
  const core::Fd dir(open(scratch.path().c_str(), O_PATH | O_DIRECTORY));
  ASSERT_TRUE(RecordExit(dir.get(), At(0)));
  EXPECT_EQ(testing::ReadWholeFile(scratch / "exit.json"), FormatExit(At(0)).c_str());
}

}  // namespace
}  // namespace minibox::init
