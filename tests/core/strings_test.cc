// SPDX-License-Identifier: Apache-2.0
#include "core/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace minibox::core {
namespace {

using ::testing::ElementsAre;

TEST(StrCat, JoinsTextsAndIntegers) {
  const std::string owned = "b";
  EXPECT_EQ(StrCat(), "");
  EXPECT_EQ(StrCat("a", owned, std::string_view("c"), 'd', -5, size_t{7}), "abcd-57");
  EXPECT_EQ(StrCat(INT64_MIN, " ", UINT64_MAX), "-9223372036854775808 18446744073709551615");
}

TEST(StrSplit, KeepsEmptyParts) {
  EXPECT_THAT(StrSplit("a,b", ','), ElementsAre("a", "b"));
  EXPECT_THAT(StrSplit("", ','), ElementsAre(""));
  EXPECT_THAT(StrSplit(",a,", ','), ElementsAre("", "a", ""));
}

TEST(StrJoin, PutsSeparatorsBetween) {
  EXPECT_EQ(StrJoin({}, ", "), "");
  EXPECT_EQ(StrJoin({"a"}, ", "), "a");
  EXPECT_EQ(StrJoin({"a", "", "b"}, ", "), "a, , b");
}

TEST(TrimSpace, DropsBlanksOnBothSides) {
  EXPECT_EQ(TrimSpace(" \t a b\r\n"), "a b");
  EXPECT_EQ(TrimSpace(" \n"), "");
  EXPECT_EQ(TrimSpace(""), "");
}

TEST(Case, IsAsciiOnly) {
  EXPECT_EQ(AsciiLower("AbZ\xc3\x84[@"), "abz\xc3\x84[@");
  EXPECT_TRUE(EqualsIgnoreCase("Content-Type", "content-tYPE"));
  EXPECT_FALSE(EqualsIgnoreCase("a", "ab"));
  EXPECT_FALSE(EqualsIgnoreCase("@", "`"));
}

TEST(ParseInteger, TakesDigitsOnly) {
  EXPECT_EQ(ParseInt64("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ParseUint64("18446744073709551615"), UINT64_MAX);
  EXPECT_EQ(ParseInt64("007"), 7);
  for (const char* text : {"", "+1", " 1", "1 ", "0x1", "1.0", "9223372036854775808", "--1"}) {
    EXPECT_EQ(ParseInt64(text), std::nullopt) << text;
  }
  for (const char* text : {"", "-1", "+1", "18446744073709551616"}) {
    EXPECT_EQ(ParseUint64(text), std::nullopt) << text;
  }
}

TEST(Utf8, AcceptsExactlyRfc3629) {
  for (const char* text : {"", "a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80"}) {
    EXPECT_TRUE(IsValidUtf8(text)) << text;
  }
  for (const char* text :
       {"\x80", "\xc3", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xc3"}) {
    EXPECT_FALSE(IsValidUtf8(text)) << HexEncode(text);
  }
  EXPECT_EQ(ReplaceInvalidUtf8("a\xff\xe2\x82z\xc3\xa4"),
            "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa4");
}

TEST(EscapeControl, NeutralisesTerminalSequences) {
  EXPECT_EQ(EscapeControl("a\x1b[2J\n"), "a\\x1b[2J\\x0a");
  EXPECT_EQ(EscapeControl("\x7f"), "\\x7f");
  EXPECT_EQ(EscapeControl("\xc2\x9b"
                          "31m"),
            "\\xc2\\x9b31m");  // C1 form of ESC [
  EXPECT_EQ(EscapeControl("gr\xc3\xbc\xc3\x9f\xe2\x82\xac"), "gr\xc3\xbc\xc3\x9f\xe2\x82\xac");
  EXPECT_EQ(EscapeControl("\xff"), "\\xff");
  EXPECT_EQ(EscapeControl(std::string_view("\0", 1)), "\\x00");
}

TEST(EditDistance, StopsAtTheLimit) {
  EXPECT_EQ(EditDistance("RUN", "RUN", 2), 0);
  EXPECT_EQ(EditDistance("RNU", "RUN", 2), 2);
  EXPECT_EQ(EditDistance("COPPY", "COPY", 2), 1);
  EXPECT_EQ(EditDistance("", "ab", 2), 2);
  EXPECT_EQ(EditDistance("kitten", "sitting", 5), 3);
  EXPECT_EQ(EditDistance("kitten", "sitting", 2), 3);
  EXPECT_EQ(EditDistance("a", std::string(100000, 'b'), 2), 3);
}

TEST(Duration, Parses) {
  EXPECT_EQ(*ParseDurationNs("90"), 90'000'000'000);
  EXPECT_EQ(*ParseDurationNs("0"), 0);
  EXPECT_EQ(*ParseDurationNs("15s"), 15'000'000'000);
  EXPECT_EQ(*ParseDurationNs("1m30s"), 90'000'000'000);
  EXPECT_EQ(*ParseDurationNs("250ms"), 250'000'000);
  EXPECT_EQ(*ParseDurationNs("1h2m3s4ms5us6ns"), 3723'004'005'006);
  EXPECT_EQ(*ParseDurationNs("1.5s"), 1'500'000'000);
  EXPECT_EQ(*ParseDurationNs("0.1234567891s"), 123'456'789);
}

TEST(Duration, RefusesMalformed) {
  for (const char* text :
       {"", "-1", "-1s", "s", "1x", "1s2", "1 s", "1.s", ".5s", "1..5s", "1s ", "+1s", "9223372037",
        "99999999999999999999999999999999h", "1e3", "1m-2s", "2562048h"}) {
    const auto result = ParseDurationNs(text);
    EXPECT_EQ(result.status().code(), StatusCode::kInvalidArgument) << text;
    EXPECT_EQ(result.status().reason(), "invalid_argument") << text;
  }
}

TEST(Duration, Formats) {
  EXPECT_EQ(FormatDuration(0), "0ms");
  EXPECT_EQ(FormatDuration(-5), "0ms");
  EXPECT_EQ(FormatDuration(999'999'999), "999ms");
  EXPECT_EQ(FormatDuration(1'000'000'000), "1.0s");
  EXPECT_EQ(FormatDuration(4'590'000'000), "4.5s");
  EXPECT_EQ(FormatDuration(59'999'000'000), "59.9s");
  EXPECT_EQ(FormatDuration(60'000'000'000), "1m00s");
  EXPECT_EQ(FormatDuration(125'400'000'000), "2m05s");
  EXPECT_EQ(FormatDuration(int64_t{3'725} * 1'000'000'000), "62m05s");
}

TEST(HexEncode, IsLowerCase) { EXPECT_EQ(HexEncode("\x01\xab\xff"), "01abff"); }

}  // namespace
}  // namespace minibox::core
