// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <gtest/gtest.h>

namespace minibox::core {
namespace {

TEST(Clock, FormatsWithNanoseconds) {
  EXPECT_EQ(FormatTime(TimePoint()), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTime(TimePoint(std::chrono::nanoseconds(1'767'323'045'678'901'234))),
            "2026-01-02T03:04:05.678901234Z");
  EXPECT_EQ(FormatTime(TimePoint(std::chrono::nanoseconds(-1))), "1969-12-31T23:59:59.999999999Z");
}

TEST(Clock, RoundTrips) {
  for (const char* text : {"2026-01-02T03:04:05.678901234Z", "1999-12-31T23:59:59.999999999Z",
                           "2024-02-29T12:00:00.000000001Z", "1969-12-31T23:59:59.999999999Z"}) {
    const auto time = ParseTime(text);
    ASSERT_TRUE(time.ok()) << text;
    EXPECT_EQ(FormatTime(*time), text);
  }
}

TEST(Clock, ParsesOffsetsFractionsAndLeapSeconds) {
  EXPECT_EQ(FormatTime(*ParseTime("2026-01-02T03:04:05+02:30")), "2026-01-02T00:34:05.000000000Z");
  EXPECT_EQ(FormatTime(*ParseTime("2026-01-02T03:04:05.5-00:30")),
            "2026-01-02T03:34:05.500000000Z");
  EXPECT_EQ(FormatTime(*ParseTime("2026-01-02t03:04:05.1234567899z")),
            "2026-01-02T03:04:05.123456789Z");
  EXPECT_EQ(FormatTime(*ParseTime("2016-12-31T23:59:60Z")), "2017-01-01T00:00:00.000000000Z");
}

TEST(Clock, ClampsWhatCannotBeRepresented) {
  EXPECT_EQ(*ParseTime("0001-01-01T00:00:00Z"), TimePoint::min());
  EXPECT_EQ(*ParseTime("9999-12-31T23:59:59Z"), TimePoint::max());
}

TEST(Clock, RefusesMalformedTimes) {
  for (const char* text :
       {"", "2026", "2026-01-02", "2026-13-02T00:00:00Z", "2026-02-30T00:00:00Z",
        "2026-01-02T24:00:00Z", "2026-01-02T00:60:00Z", "2026-01-02T00:00:61Z",
        "2026-01-02T00:00:00", "2026-01-02T00:00:00.Z", "2026-01-02T00:00:00+25:00",
        "2026-01-02T00:00:00Zx", "-026-01-02T00:00:00Z", "2026-01-02T00:00:00+0100"}) {
    EXPECT_EQ(ParseTime(text).status().code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace minibox::core
