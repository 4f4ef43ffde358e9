// SPDX-License-Identifier: Apache-2.0
#include "build/source_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/scratch.h"

namespace minibox::build {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class SourceTreeTest : public ::testing::Test {
 protected:
  SourceTree Context(std::string_view ignore = "") {
    return SourceTree::Context(std::move(*core::RootDir::Open(scratch_.path())),
                               IgnoreRules::Parse(ignore, false));
  }
  static std::vector<std::string> Paths(const StatusOr<std::vector<SourceMatch>>& matches) {
    if (!matches.ok()) return {matches.status().message()};
    std::vector<std::string> paths;
    for (const auto& match : *matches) {
      paths.push_back(match.shown == match.path ? match.path : match.shown + "=" + match.path);
    }
    return paths;
  }
  testing::Scratch scratch_;
};

TEST_F(SourceTreeTest, Globs) {
  for (const char* file : {"a.c", "b.c", "b.h", "sub/c.c", "sub/deep/d.c", ".hidden.c"}) {
    scratch_.Write(file, "");
  }
  const auto tree = Context();
  EXPECT_THAT(Paths(tree.Match("*.c")), ElementsAre(".hidden.c", "a.c", "b.c"));
  EXPECT_THAT(Paths(tree.Match("?.[hc]")), ElementsAre("a.c", "b.c", "b.h"));
  EXPECT_THAT(Paths(tree.Match("**/*.c")),
              ElementsAre(".hidden.c", "a.c", "b.c", "sub/c.c", "sub/deep/d.c"));
  EXPECT_THAT(Paths(tree.Match("s*/**/d.c")), ElementsAre("sub/deep/d.c"));
  EXPECT_THAT(Paths(tree.Match("sub")), ElementsAre("sub"));
  EXPECT_THAT(Paths(tree.Match("")), ElementsAre(""));
  EXPECT_THAT(Paths(tree.Match("*.x")), ElementsAre("'*.x' matches nothing in the context"));
  EXPECT_THAT(Paths(tree.Match("nope/x")), ElementsAre("'nope/x' does not exist in the context"));
  EXPECT_THAT(Paths(tree.Match("a.c/x")), ElementsAre("'a.c/x' does not exist in the context"));
}

TEST_F(SourceTreeTest, LinksStayInside) {
  scratch_.Write("real/file", "");
  fs::create_symlink("/real/file", scratch_ / "absolute");
  fs::create_symlink("real", scratch_ / "dir");
  fs::create_symlink("../../../etc/passwd", scratch_ / "escape");
  fs::create_symlink("loop", scratch_ / "loop");
  fs::create_symlink("nowhere", scratch_ / "dangling");
  const auto tree = Context();
  EXPECT_THAT(Paths(tree.Match("absolute")), ElementsAre("absolute=real/file"));
  EXPECT_THAT(Paths(tree.Match("dir/file")), ElementsAre("dir/file=real/file"));
  EXPECT_THAT(Paths(tree.Match("di?/f*")), ElementsAre("dir/file=real/file"));
  EXPECT_THAT(Paths(tree.Match("escape")), ElementsAre(HasSubstr("leads out of the context")));
  EXPECT_FALSE(tree.Match("loop").ok());
  EXPECT_THAT(Paths(tree.Match("dangling")), ElementsAre(HasSubstr("does not exist")));
  // In a block's root links end at its top, as they do for a program in it.
  const auto root = SourceTree::BlockRoot(std::move(*core::RootDir::Open(scratch_.path())));
  EXPECT_THAT(Paths(root.Match("escape")), ElementsAre(HasSubstr("does not exist in the block")));
}

TEST_F(SourceTreeTest, IgnoredIsNoMatchAlsoThroughALink) {
  scratch_.Write("secret/key", "");
  scratch_.Write("public", "");
  fs::create_symlink("secret/key", scratch_ / "alias");
  fs::create_symlink("secret", scratch_ / "door");
  const auto tree = Context("secret/\n");
  EXPECT_THAT(Paths(tree.Match("secret/key")),
              ElementsAre("'secret/key' is ignored in the context"));
  EXPECT_THAT(Paths(tree.Match("alias")), ElementsAre(HasSubstr("is ignored")));
  EXPECT_THAT(Paths(tree.Match("door")), ElementsAre(HasSubstr("is ignored")));
  EXPECT_THAT(Paths(tree.Match("**/*")), ElementsAre("public"));
}

}  // namespace
}  // namespace minibox::build
