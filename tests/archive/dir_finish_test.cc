// SPDX-License-Identifier: Apache-2.0
#include "archive/dir_finish.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/scratch.h"

namespace minibox::archive {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::Scratch;

class DirFinishTest : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    auto root = core::RootDir::Open(scratch_.path());
    ASSERT_TRUE(root.ok());
    root_ = *std::move(root);
  }
  Status Add(DirFinish& finish, const std::string& path, int64_t mtime) {
    fs::create_directories(scratch_ / path);
    const core::Fd fd(open((scratch_ / path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return finish.Add(path, fd.get(), {.mtime = mtime, .mtime_nsec = 7});
  }
  int64_t MtimeOf(const std::string& path) {
    struct ::stat st {};
    EXPECT_EQ(stat((scratch_ / path).c_str(), &st), 0) << path;
    return st.st_mtim.tv_sec;
  }
  Status Apply(DirFinish& finish) {
    auto chain = DirChain::Create(root_);
    return chain.ok() ? finish.Apply(*chain) : chain.status();
  }
  Scratch scratch_;
  core::RootDir root_;
};
// In memory, and spilled at once.
INSTANTIATE_TEST_SUITE_P(Limits, DirFinishTest, ::testing::Values(size_t{4u << 20}, size_t{1}));

TEST_P(DirFinishTest, TheLastNoteCounts) {
  DirFinish finish(root_, GetParam());
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(Add(finish, "dir" + std::to_string(i) + "/sub", 1000 + i).ok());
  }
  ASSERT_TRUE(Add(finish, "dir7/sub", 5).ok());
  ASSERT_TRUE(Add(finish, "", 6).ok());
  scratch_.Write("dir8/sub/new", "");
  const Status status = Apply(finish);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(MtimeOf("dir7/sub"), 5);
  EXPECT_EQ(MtimeOf("dir8/sub"), 1008);
  EXPECT_EQ(MtimeOf("dir199/sub"), 1199);
  EXPECT_EQ(MtimeOf(""), 6);
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch_.path()), {}), 200);
}

TEST_P(DirFinishTest, WhatIsGoneOrAnotherIsLeftAlone) {
  DirFinish finish(root_, GetParam());
  for (const char* path : {"gone", "replaced", "file", "kept"}) {
    ASSERT_TRUE(Add(finish, path, 5).ok());
  }
  fs::remove(scratch_ / "gone");
  fs::create_directory(scratch_ / "another");
  fs::rename(scratch_ / "another", scratch_ / "replaced");
  fs::remove(scratch_ / "file");
  scratch_.Write("file", "");
  const Status status = Apply(finish);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_NE(MtimeOf("replaced"), 5);
  EXPECT_EQ(MtimeOf("kept"), 5);
}

}  // namespace
}  // namespace minibox::archive
