// SPDX-License-Identifier: Apache-2.0
#include "build/output_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "build/limits.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Lines(const std::vector<std::string>& pieces) {
  std::vector<std::string> lines;
  OutputLines splitter([&](std::string_view line) { lines.emplace_back(line); });
  for (const auto& piece : pieces) splitter.Add(piece);
  splitter.Finish();
  return lines;
}

TEST(OutputLines, Ends) {
  EXPECT_THAT(Lines({"a\nb\r\nc\rd"}), ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(Lines({"a\n\n\nb\n"}), ElementsAre("a", "", "", "b"));
  EXPECT_THAT(Lines({"\r10%\r20%\r\ndone"}), ElementsAre("10%", "20%", "done"));
  EXPECT_THAT(Lines({"\r\n\r\n"}), ElementsAre("", ""));
  EXPECT_THAT(Lines({""}), ElementsAre());
}

TEST(OutputLines, PiecesAreCutAnywhere) {
  const std::string text = "one\r\ntwo\rthree\n\nfour\r\r\nfive";
  const auto whole = Lines({text});
  for (size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(Lines({text.substr(0, i), text.substr(i)}), whole) << i;
  }
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(Lines(bytes), whole);
}

TEST(OutputLines, LongLinesAreSplitAndNothingIsLost) {
  const std::string text(3 * kMaxOutputLine + 5, 'x');
  const auto lines = Lines({text});
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].size(), kMaxOutputLine);
  EXPECT_EQ(lines[3].size(), 5u);
  EXPECT_THAT(Lines({std::string(kMaxOutputLine, 'x') + "\ny"}),
              ElementsAre(std::string(kMaxOutputLine, 'x'), "y"));
}

TEST(OutputLines, OwnPrefix) {
  EXPECT_TRUE(HasOwnPrefix("[npm-1.2_x] hello"));
  for (const char* line : {"npm", "[] x", "[a]x", "[a b] x", "[a", "[a]", ""}) {
    EXPECT_FALSE(HasOwnPrefix(line)) << line;
  }
}

}  // namespace
}  // namespace minibox::build
