// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_pax.h"

#include <gtest/gtest.h>

namespace minibox::archive {
namespace {

TEST(PaxRecords, RoundTripWhateverTheLength) {
  for (size_t size = 0; size < 1100; ++size) {
    const std::string value(size, 'v');
    const std::string text = FormatPaxRecord("key", value);
    ASSERT_TRUE(text.starts_with(std::to_string(text.size()) + " ")) << size;
    const auto records = ParsePaxRecords(text + FormatPaxRecord("z", "1"));
    ASSERT_TRUE(records.ok()) << size;
    EXPECT_EQ(records->at("key"), value);
    EXPECT_EQ(records->at("z"), "1");
  }
}

TEST(PaxRecords, ValuesAreBytes) {
  const std::string value("a\0=\n b", 6);
  const auto records = ParsePaxRecords(FormatPaxRecord("SCHILY.xattr.user.x", value));
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->at("SCHILY.xattr.user.x"), value);
}

TEST(PaxRecords, OfEqualKeysTheLastWins) {
  const auto records = ParsePaxRecords(FormatPaxRecord("a", "1") + FormatPaxRecord("a", "2"));
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->at("a"), "2");
}

TEST(PaxRecords, SparsePairsBecomeAMap) {
  std::string text;
  for (const char* number : {"0", "5", "4096", "1"}) {
    const bool offset = text.empty() || std::string(number) == "4096";
    text += FormatPaxRecord(offset ? "GNU.sparse.offset" : "GNU.sparse.numbytes", number);
  }
  const auto records = ParsePaxRecords(text);
  ASSERT_TRUE(records.ok());
  EXPECT_EQ(records->at("GNU.sparse.map"), "0,5,4096,1");
}

TEST(PaxRecords, DamageIsRefused) {
  const std::string bad[] = {
      "x",
      "6 a=b",
      "7 a=b\n",
      "5 a=b\n",
      "6 a=bc\n",
      "6 ab\n\n",
      "4 =\n",
      "-6 a=b\n",
      "06a=b\n",
      "99999999999999999999 a=b\n",
      "5 =b\n",
      std::string("7 a\0=b\n", 7),
      FormatPaxRecord("GNU.sparse.offset", "1"),
      FormatPaxRecord("GNU.sparse.numbytes", "1"),
      FormatPaxRecord("GNU.sparse.offset", "x") + FormatPaxRecord("GNU.sparse.numbytes", "1"),
  };
  for (const std::string& text : bad) {
    const auto records = ParsePaxRecords(text);
    ASSERT_FALSE(records.ok()) << text;
    EXPECT_EQ(records.status().reason(), "invalid_archive");
  }
}

TEST(PaxTime, RoundTrip) {
  struct Row {
    std::string text;
    int64_t seconds;
    uint32_t nanoseconds;
  };
  const Row table[] = {
      {"0", 0, 0},
      {"1", 1, 0},
      {"1.5", 1, 500'000'000},
      {"1350244992.023960108", 1350244992, 23'960'108},
      {"0.000000001", 0, 1},
      {"-1", -1, 0},
      {"-0.5", -1, 500'000'000},
      {"-1.000000001", -2, 999'999'999},
      {"9223372036854775807.999999999", INT64_MAX, 999'999'999},
  };
  for (const Row& row : table) {
    const auto time = ParsePaxTime(row.text);
    ASSERT_TRUE(time.has_value()) << row.text;
    EXPECT_EQ(time->seconds, row.seconds) << row.text;
    EXPECT_EQ(time->nanoseconds, row.nanoseconds) << row.text;
    EXPECT_EQ(FormatPaxTime(*time), row.text);
  }
}

TEST(PaxTime, FinerThanNanosecondsRoundsDown) {
  EXPECT_EQ(ParsePaxTime("1.0000000019")->nanoseconds, 1u);
  EXPECT_EQ(ParsePaxTime("1.10")->nanoseconds, 100'000'000u);
  EXPECT_EQ(ParsePaxTime("-0.9999999999")->seconds, -1);
  EXPECT_EQ(ParsePaxTime("-0.9999999999")->nanoseconds, 0u);
}

TEST(PaxTime, OtherTextIsRefused) {
  for (const char* text :
       {"", ".", ".5", "-", "x", "1.x", "1 ", " 1", "+1", "1e5", "--1", "99999999999999999999"}) {
    EXPECT_FALSE(ParsePaxTime(text).has_value()) << text;
  }
}

}  // namespace
}  // namespace minibox::archive
