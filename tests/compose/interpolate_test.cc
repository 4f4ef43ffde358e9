// SPDX-License-Identifier: Apache-2.0
#include "compose/interpolate.h"

#include <gtest/gtest.h>

namespace minibox::compose {
namespace {

std::optional<std::string> Value(const std::string& name) {
  if (name == "A") return "a";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

TEST(Interpolate, AllForms) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", ""},
      {"plain", "plain"},
      {"$A", "a"},
      {"x${A}y", "xay"},
      {"$$A", "$A"},
      {"$A$$", "a$"},
      {"${NONE:-d}", "d"},
      {"${NONE-d}", "d"},
      {"${EMPTY:-d}", "d"},
      {"${EMPTY-d}", ""},
      {"${A:-d}", "a"},
      {"${A:+alt}", "alt"},
      {"${EMPTY:+alt}", ""},
      {"${EMPTY+alt}", "alt"},
      {"${NONE+alt}", ""},
      {"${NONE:-${EMPTY:-${A}}}", "a"},
      {"${A?no}", "a"},
      {"${NONE:-x}${NONE-}", "x"},
  };
  for (const auto& [text, wanted] : kCases) {
    const auto value = Interpolate(text, Value, nullptr);
    ASSERT_TRUE(value.ok()) << text << value.status().ToString();
    EXPECT_EQ(*value, wanted) << text;
  }
}

TEST(Interpolate, ReportsUnset) {
  std::vector<std::string> unset;
  const auto value = Interpolate("$NONE-${OTHER}-${A}-${EMPTY}", Value, &unset);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(*value, "--a-");
  EXPECT_EQ(unset, (std::vector<std::string>{"NONE", "OTHER"}));
}

TEST(Interpolate, Refuses) {
  const std::pair<const char*, const char*> kCases[] = {
      {"${A", "without '}'"},
      {"$1", "'$$'"},
      {"50$", "'$$'"},
      {"${}", "names no variable"},
      {"${1}", "names no variable"},
      {"${A%x}", "is not a form"},
      {"${A:}", "is not a form"},
      {"${NONE?must be $A}", "variable NONE is not set: must be a"},
      {"${EMPTY:?}", "variable EMPTY is not set"},
  };
  for (const auto& [text, message] : kCases) {
    const auto value = Interpolate(text, Value, nullptr);
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_NE(value.status().message().find(message), std::string::npos)
        << value.status().message();
  }
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "${NONE:-";
  EXPECT_FALSE(Interpolate(deep + std::string(100, '}'), Value, nullptr).ok());
}

TEST(Interpolate, EscapedTextStays) {
  for (const char* text : {"$", "$$", "a${b}", "${"}) {
    const auto value = Interpolate(EscapeDollars(text), Value, nullptr);
    ASSERT_TRUE(value.ok());
    EXPECT_EQ(*value, text);
  }
}

TEST(EnvFile, Forms) {
  const auto variables = ParseEnvFile(
      "# comment\n\nexport P=1\nQ='$A raw'\nR=\"x\\n$A \\$A \\\"q\\\"\"\nS=a b # comment\n"
      "T=${P}${S}\r\nA\nNOBODY\nU=\n V = v \n",
      "f", Value);
  ASSERT_TRUE(variables.ok()) << variables.status().ToString();
  EXPECT_EQ(*variables, (Variables{{"P", "1"},
                                   {"Q", "$A raw"},
                                   {"R", "x\na $A \"q\""},
                                   {"S", "a b"},
                                   {"T", "1a b"},
                                   {"A", "a"},
                                   {"U", ""},
                                   {"V", "v"}}));
}

TEST(EnvFile, RefusesWithLine) {
  for (const char* text :
       {"OK=1\n=x\n", "OK=1\nA B=2\n", "OK=1\nA='x\n", "OK=1\nA=\"x\n", "OK=1\nA=${B\n"}) {
    const auto variables = ParseEnvFile(text, "f", Value);
    ASSERT_FALSE(variables.ok()) << text;
    EXPECT_EQ(variables.status().message().rfind("f:2", 0), 0u) << variables.status().message();
  }
}

TEST(Words, AsAShellCutsThem) {
  const auto words = SplitWords("a 'b c'  \"d \\\"e\\\" $F\" g\\ h i'j'k ''");
  ASSERT_TRUE(words.ok());
  EXPECT_EQ(*words, (std::vector<std::string>{"a", "b c", "d \"e\" $F", "g h", "ijk", ""}));
  EXPECT_FALSE(SplitWords("a 'b").ok());
  EXPECT_FALSE(SplitWords("a \"b\\\"").ok());
  EXPECT_TRUE(SplitWords(" \t ")->empty());
}

}  // namespace
}  // namespace minibox::compose
