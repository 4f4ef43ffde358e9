// SPDX-License-Identifier: Apache-2.0
#include "init/text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace minibox::init {
namespace {

TEST(Text, FormatsNumbers) {
  Text<128> text;
  text << 0u << ' ' << -7 << ' ' << std::numeric_limits<uint64_t>::max() << ' '
       << std::numeric_limits<int64_t>::min();
  EXPECT_STREQ(text.c_str(), "0 -7 18446744073709551615 -9223372036854775808");
}

TEST(Text, PadsWithZeros) {
  Text<32> text;
  text.Digits(7, 3).Digits(1234, 3).Digits(0, 2);
  EXPECT_STREQ(text.c_str(), "007123400");
}

TEST(Text, CutsWhatDoesNotFit) {
  Text<6> text;
  text << "abc";
  EXPECT_FALSE(text.cut());
  text << "def" << 'g' << 123u;
  EXPECT_TRUE(text.cut());
  EXPECT_STREQ(text.c_str(), "abcde");
  EXPECT_EQ(text.size(), 5u);
}

}  // namespace
}  // namespace minibox::init
