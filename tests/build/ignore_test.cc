// SPDX-License-Identifier: Apache-2.0
#include "build/ignore.h"

#include <gtest/gtest.h>

#include "build/limits.h"
#include "support/scratch.h"

namespace minibox::build {
namespace {

struct Case {
  const char* rules;
  const char* path;  // "/" at the end: a directory
  bool ignored;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.rules << " : " << c.path; }

class IgnoreTable : public ::testing::TestWithParam<Case> {};

TEST_P(IgnoreTable, Matches) {
  const auto rules = IgnoreRules::Parse(GetParam().rules, false);
  std::string path = GetParam().path;
  const bool directory = path.ends_with('/');
  if (directory) path.pop_back();
  EXPECT_EQ(rules.IgnoresWithParents(path, directory), GetParam().ignored);
}

INSTANTIATE_TEST_SUITE_P(
    Gitignore, IgnoreTable,
    ::testing::Values(
        Case{"*.o", "a.o", true}, Case{"*.o", "deep/er/a.o", true}, Case{"*.o", "a.oo", false},
        Case{"/a.o", "a.o", true}, Case{"/a.o", "b/a.o", false}, Case{"b/a.o", "b/a.o", true},
        Case{"b/a.o", "c/b/a.o", false}, Case{"dir/", "dir/", true}, Case{"dir/", "dir", false},
        Case{"dir/", "dir/x", true}, Case{"dir", "x/dir/y/z", true}, Case{"# a", "# a", false},
        Case{"\\#a", "#a", true}, Case{"\\!a", "!a", true}, Case{"a ", "a", true},
        Case{"a\\ ", "a ", true}, Case{"*\n!keep", "keep", false}, Case{"*\n!keep", "other", true},
        Case{"dir/\n!dir/keep", "dir/keep", true}, Case{"dir/*\n!dir/keep", "dir/keep", false},
        Case{"dir/*\n!dir/keep", "dir/other", true}, Case{"**/x", "x", true},
        Case{"**/x", "a/b/x", true}, Case{"a/**", "a/", false}, Case{"a/**", "a/b/c", true},
        Case{"a/**/b", "a/b", true}, Case{"a/**/b", "a/x/y/b", true},
        Case{"a/**/b", "a/x/y/c", false}, Case{"[ab].txt", "b.txt", true},
        Case{"[!ab].txt", "b.txt", false}, Case{"[a-c]?", "bä", true}, Case{"[", "[", true},
        Case{"a*b*c", "aXbYc", true}, Case{"a*b*c", "aXbY", false},
        Case{"*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", false}, Case{"", "a", false},
        Case{"/", "a", false}, Case{"!a\na", "a", true}, Case{"a\r\n", "a", true},
        Case{".git", ".git/", true}));

TEST(Ignore, DockerignoreIsAnchored) {
  const auto rules = IgnoreRules::Parse("*.o\n**/deep", true);
  EXPECT_TRUE(rules.IgnoresWithParents("a.o", false));
  EXPECT_FALSE(rules.IgnoresWithParents("b/a.o", false));
  EXPECT_TRUE(rules.IgnoresWithParents("b/deep", false));
}

TEST(Ignore, OwnFileWinsOverDockersAndHasALimit) {
  const testing::Scratch scratch;
  auto root = core::RootDir::Open(scratch.path());
  ASSERT_TRUE(root.ok());
  EXPECT_TRUE(ReadIgnoreRules(*root)->empty());
  scratch.Write(".dockerignore", "docker\n");
  EXPECT_TRUE(ReadIgnoreRules(*root)->Ignores("docker", false));
  scratch.Write(".miniboxignore", "mini\n");
  EXPECT_FALSE(ReadIgnoreRules(*root)->Ignores("docker", false));
  EXPECT_TRUE(ReadIgnoreRules(*root)->Ignores("mini", false));
  scratch.Write(".miniboxignore", std::string(kMaxIgnoreBytes + 1, 'x'));
  EXPECT_EQ(ReadIgnoreRules(*root).status().reason(), "invalid_context");
}

}  // namespace
}  // namespace minibox::build
