// SPDX-License-Identifier: Apache-2.0
#include "wire/event.h"

#include <gtest/gtest.h>

#include "wire/time.h"

namespace minibox::wire {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

TEST(EventLine, ThereAndBack) {
  Event event;
  event.seq = 7;
  event.time = TimePoint(seconds(1'700'000'000));
  event.type = "container.die";
  event.id = "0123abcd";
  event.attributes = {{"exit_code", "1"}};
  const std::string line = EventLine(event);
  EXPECT_EQ(line, R"({"seq":7,"time":"2023-11-14T22:13:20.000000000Z","type":"container.die",)"
                  R"("id":"0123abcd","attributes":{"exit_code":"1"}})"
                  "\n");
  const auto parsed = ParseEventLine(line);
  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ(EventLine(*parsed), line);
}

TEST(EventLine, AnOverflowIsOnlyThat) {
  Event event;
  event.seq = 9;
  event.type = Event::kOverflow;
  EXPECT_EQ(EventLine(event), "{\"type\":\"overflow\"}\n");
  EXPECT_EQ(ParseEventLine(R"({"type":"overflow"})")->type, Event::kOverflow);
  EXPECT_FALSE(ParseEventLine("{}").ok());
  EXPECT_FALSE(ParseEventLine("nonsense").ok());
}

TEST(ParseTimeOrAgo, EachForm) {
  const TimePoint now(seconds(1'700'000'000));
  const auto parse = [&](std::string_view text) { return ParseTimeOrAgo(text, now); };
  EXPECT_EQ(*parse("1600000000"), TimePoint(seconds(1'600'000'000)));
  EXPECT_EQ(*parse("1600000000.25"), TimePoint(seconds(1'600'000'000) + nanoseconds(250'000'000)));
  EXPECT_EQ(*parse("0"), TimePoint());
  EXPECT_EQ(*parse("10m"), now - seconds(600));
  EXPECT_EQ(*parse("1m30s"), now - seconds(90));
  EXPECT_EQ(*parse("2023-11-14T22:13:20Z"), now);
  EXPECT_EQ(*parse("2023-11-14T23:13:20+01:00"), now);
  for (const char* bad : {"", "x", "-1", "1.", ".5", "1.1234567890", "99999999999", "5 m",
                          "2023-11-14", "9999999999999999999", "1e9"}) {
    EXPECT_EQ(parse(bad).status().code(), StatusCode::kInvalidArgument) << bad;
  }
}

}  // namespace
}  // namespace minibox::wire
