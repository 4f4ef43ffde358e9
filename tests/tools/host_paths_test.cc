// SPDX-License-Identifier: Apache-2.0
#include "host_paths.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "support/scratch.h"

namespace miniboxd {
namespace {

namespace fs = std::filesystem;
using minibox::testing::Scratch;

struct Tree {
  Scratch scratch;
  HostPaths paths{{scratch / "src", scratch / "data"}, scratch / "data", scratch / "data/run"};
  Tree() {
    scratch.Write("src/app/MiniBox", "x");
    scratch.Write("src2/secret", "x");
    scratch.Write("data/volumes/v/file", "x");
    scratch.Write("data/containers/c/file", "x");
    scratch.Write("data/run/s", "x");
    scratch.Write("data/mine/file", "x");
    fs::create_symlink(scratch / "src2", scratch / "src/out");
    fs::create_symlink(scratch / "src/app", scratch / "src2/in");
  }
  std::string Reason(const std::string& path) const {
    const auto resolved = paths.Resolve(path, "context");
    return resolved.ok() ? "ok" : resolved.status().reason();
  }
};

TEST(HostPaths, OnlyWhatLiesUnderAPrefixIsPermitted) {
  const Tree tree;
  EXPECT_EQ(*tree.paths.Resolve(tree.scratch / "src/app", "context"), tree.scratch / "src/app");
  EXPECT_EQ(tree.Reason(tree.scratch / "src"), "ok");
  EXPECT_EQ(tree.Reason(tree.scratch / "src/../src/./app"), "ok");
  EXPECT_EQ(tree.Reason(tree.scratch / "src2/in"), "ok");  // links count by where they lead
  EXPECT_EQ(tree.Reason(tree.scratch / "src2"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "src/out"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "src/../src2"), "path_not_allowed");
  EXPECT_EQ(tree.Reason("/"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "src/absent"), "invalid_argument");
  EXPECT_EQ(tree.Reason("src/app"), "invalid_argument");
  EXPECT_EQ(tree.Reason(""), "invalid_argument");
  EXPECT_EQ(tree.Reason("/" + std::string(5000, 'a')), "invalid_argument");
  EXPECT_EQ(tree.paths.Resolve("x", "context").status().field(), "context");
}

TEST(HostPaths, MiniBoxOwnDirectoriesAreRefusedButVolumes) {
  const Tree tree;
  EXPECT_EQ(tree.Reason(tree.scratch / "data"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "data/containers/c"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "data/run"), "path_not_allowed");
  EXPECT_EQ(tree.Reason(tree.scratch / "data/volumes/v"), "ok");
  EXPECT_EQ(tree.Reason(tree.scratch / "data/mine"), "ok");
}

TEST(HostPaths, OnlyRegularFilesAreOpened) {
  const Tree tree;
  const auto file = tree.paths.OpenFile(tree.scratch / "src/app/MiniBox", "path");
  ASSERT_TRUE(file.ok()) << file.status().ToString();
  char text[2] = "";
  EXPECT_EQ(read(*file, text, 1), 1);
  EXPECT_STREQ(text, "x");
  close(*file);
  // A FIFO without writer would block whoever opens it.
  ASSERT_EQ(mkfifo((tree.scratch / "src/fifo").c_str(), 0600), 0);
  EXPECT_EQ(tree.paths.OpenFile(tree.scratch / "src/fifo", "path").status().reason(),
            "invalid_argument");
  EXPECT_EQ(tree.paths.OpenFile(tree.scratch / "src/app", "path").status().reason(),
            "invalid_argument");
  EXPECT_EQ(tree.paths.OpenFile(tree.scratch / "src/out/secret", "path").status().reason(),
            "path_not_allowed");
  EXPECT_EQ(tree.paths.OpenFile("/dev/null", "path").status().reason(), "path_not_allowed");
}

}  // namespace
}  // namespace miniboxd
