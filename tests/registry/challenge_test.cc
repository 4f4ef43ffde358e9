// SPDX-License-Identifier: Apache-2.0
#include "registry/challenge.h"

#include <gtest/gtest.h>

namespace minibox::registry {
namespace {

TEST(Challenge, QuotedStringsAndSeveralChallenges) {
  const auto challenges = ParseChallenges(
      R"(Basic realm="a, \"b\"", Bearer realm="https://t/x?a=b",service=reg , scope="p:a:pull,push")");
  ASSERT_EQ(challenges.size(), 2u);
  EXPECT_EQ(challenges[0].scheme, "basic");
  EXPECT_EQ(challenges[0].params.at("realm"), "a, \"b\"");
  EXPECT_EQ(challenges[1].scheme, "bearer");
  EXPECT_EQ(challenges[1].params.at("realm"), "https://t/x?a=b");
  EXPECT_EQ(challenges[1].params.at("service"), "reg");
  EXPECT_EQ(challenges[1].params.at("scope"), "p:a:pull,push");
}

TEST(Challenge, NamesInAnyCaseAndChallengesWithoutParameters) {
  const auto challenges = ParseChallenges(",Negotiate , BEARER  REALM = \"x\"");
  ASSERT_EQ(challenges.size(), 2u);
  EXPECT_EQ(challenges[0].scheme, "negotiate");
  EXPECT_TRUE(challenges[0].params.empty());
  EXPECT_EQ(challenges[1].params.at("realm"), "x");
}

TEST(Challenge, MalformedTextEndsTheList) {
  EXPECT_TRUE(ParseChallenges("").empty());
  EXPECT_TRUE(ParseChallenges("\"").empty());
  EXPECT_TRUE(ParseChallenges("Bearer realm=\"open").empty());
  EXPECT_EQ(ParseChallenges("Basic realm=x, =y").size(), 1u);
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += "a b=\"c\",";
  EXPECT_LE(ParseChallenges(many).size(), 16u);
}

}  // namespace
}  // namespace minibox::registry
