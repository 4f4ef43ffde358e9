// SPDX-License-Identifier: Apache-2.0
#include "compose/yaml.h"

#include <gtest/gtest.h>

namespace minibox::compose {
namespace {

TEST(Yaml, KnowsPositionsAndKinds) {
  const auto root = ParseYaml("a: 1\nb:\n  - x\n  - 'y'\nc: {d: ~}\n", "f");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  ASSERT_EQ(root->members.size(), 3u);
  const Node* const b = root->Find("b");
  ASSERT_NE(b, nullptr);
  EXPECT_EQ(b->kind, Node::Kind::kList);
  EXPECT_EQ(b->items[1].text, "y");
  EXPECT_FALSE(b->items[1].plain);
  EXPECT_EQ(b->items[1].at.line, 4);
  EXPECT_EQ(b->items[1].at.column, 5);
  EXPECT_EQ(root->Find("c")->Find("d")->kind, Node::Kind::kNull);
}

TEST(Yaml, MergesAnchors) {
  const auto root = ParseYaml(
      "base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\n"
      "x: {<<: *base, b: 5}\ny: {<<: [*other, *base]}\n",
      "f");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  EXPECT_EQ(root->Find("x")->Find("a")->text, "1");
  EXPECT_EQ(root->Find("x")->Find("b")->text, "5");
  EXPECT_EQ(root->Find("y")->Find("b")->text, "3");
  EXPECT_EQ(root->Find("y")->Find("a")->text, "1");
}

TEST(Yaml, RefusesWithPosition) {
  const struct {
    const char* text;
    const char* message;
  } kCases[] = {
      {"a: 1\na: 2\n", "f:2:1: duplicate key 'a'"},
      {"a: [1\n", "f:"},
      {"a: b: c\n", "f:1:"},
      {"- a\n", "f:1:1: the file must be a map, not a list"},
      {"[a]: 1\n", "f:1:1: a key must be text"},
      {"a: *b\n", "f:1:"},
      {"a: &a [*a]\n", "f:1:8: an alias of what contains it"},
      {"a: 1\n---\nb: 2\n", "a second document in the file"},
      {"<<: 1\n", "'<<' takes a map or maps"},
      {"\xff: 1\n", "f: the file is not UTF-8"},
  };
  for (const auto& c : kCases) {
    const auto root = ParseYaml(c.text, "f");
    ASSERT_FALSE(root.ok()) << c.text;
    EXPECT_NE(root.status().message().find(c.message), std::string::npos)
        << c.text << " -> " << root.status().message();
    EXPECT_EQ(root.status().reason(), "invalid_compose_file");
  }
}

TEST(Yaml, BoundsWhatAliasesGrowTo) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) text += (k > 0 ? ", " : "") + before;
    text += "]\n";
  }
  const auto root = ParseYaml(text, "f");
  ASSERT_FALSE(root.ok());
  EXPECT_NE(root.status().message().find("too large"), std::string::npos);
  EXPECT_FALSE(ParseYaml("a: " + std::string(5000, '[') + "\n", "f").ok());
}

TEST(Yaml, WritesWhatItReads) {
  const std::string text =
      "a: \"yes\"\nb:\n  - 1\n  - \"2\"\n  - c: d\n    e: []\n  - []\n  - {}\nempty: null\n"
      "text: \"line\\nwith \\\"quotes\\\" and \\\\ and \\x01\"\nplain: true\n\"1\": x\n";
  const auto root = ParseYaml(text, "f");
  ASSERT_TRUE(root.ok()) << root.status().ToString();
  const std::string once = EmitYaml(*root);
  EXPECT_EQ(once, text);
  const auto again = ParseYaml(once, "f");
  ASSERT_TRUE(again.ok()) << again.status().ToString() << once;
  EXPECT_EQ(EmitYaml(*again), once);
}

TEST(Yaml, AnEmptyFileIsAnEmptyMap) {
  for (const char* text : {"", "# nothing\n", "---\n"}) {
    const auto root = ParseYaml(text, "f");
    ASSERT_TRUE(root.ok()) << root.status().ToString();
    EXPECT_TRUE(root->members.empty());
  }
}

}  // namespace
}  // namespace minibox::compose
