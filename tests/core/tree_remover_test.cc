// SPDX-License-Identifier: Apache-2.0
#include "core/tree_remover.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/root_dir.h"
#include "core/strings.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TreeRemoverTest : public ::testing::Test {
 protected:
  testing::Scratch scratch_;
  RootDir root_ = *RootDir::Open(scratch_.path());
};

TEST_F(TreeRemoverTest, RemovesEveryKindOfEntry) {
  scratch_.Write("t/a/b/c", "x");
  scratch_.Write("t/f", "x");
  ASSERT_EQ(mkfifo((scratch_ / "t/fifo").c_str(), 0600), 0);
  ASSERT_TRUE(root_.Symlink("nowhere", "t/l").ok());
  ASSERT_TRUE(root_.RemoveAll("t").ok());
  EXPECT_THAT(*root_.List(""), IsEmpty());
}

TEST_F(TreeRemoverTest, NeverFollowsLinks) {
  scratch_.Write("kept/file", "x");
  ASSERT_TRUE(root_.MakeDir("t", 0755).ok());
  ASSERT_TRUE(root_.Symlink("../kept", "t/dir").ok());
  ASSERT_TRUE(root_.Symlink("../kept/file", "t/file").ok());
  ASSERT_TRUE(root_.Symlink(scratch_ / "kept", "t/abs").ok());
  ASSERT_TRUE(root_.RemoveAll("t").ok());
  ASSERT_TRUE(root_.Symlink("kept", "link").ok());
  ASSERT_TRUE(root_.RemoveAll("link").ok());
  ASSERT_TRUE(root_.Symlink("kept", "link").ok());
  ASSERT_TRUE(root_.RemoveAll("link/").ok());
  EXPECT_EQ(*root_.ReadFile("kept/file", 10), "x");
  EXPECT_THAT(*root_.List(""), ElementsAre("kept"));
}

TEST_F(TreeRemoverTest, AbsentIsFineAndTheRootIsRefused) {
  EXPECT_TRUE(root_.RemoveAll("none").ok());
  EXPECT_TRUE(root_.RemoveAll("none/deeper").ok());
  scratch_.Write("f", "x");
  EXPECT_TRUE(root_.RemoveAll("f/below").ok());
  EXPECT_EQ(root_.RemoveAll("").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.RemoveAll("/").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.RemoveAll("..").code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(root_.Exists("f"));
}

TEST_F(TreeRemoverTest, RemoveContentsKeepsTheDirectory) {
  scratch_.Write("t/a/b", "x");
  const RootDir t = *root_.OpenDir("t");
  ASSERT_TRUE(RemoveContents(t.fd()).ok());
  EXPECT_THAT(*root_.List("t"), IsEmpty());
}

TEST_F(TreeRemoverTest, DepthCostsNeitherStackNorDescriptors) {
  ASSERT_TRUE(root_.MakeDir("t", 0755).ok());
  RootDir at = *root_.OpenDir("t");
  const std::string name(200, 'd');  // the whole path is beyond any limit
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(at.MakeDir(name, 0755).ok());
    at = *at.OpenDir(name);
  }
  at = RootDir();
  struct rlimit before {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit few = before;
  few.rlim_cur = 128;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  const Status removed = root_.RemoveAll("t");
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(removed.ok()) << removed.message();
  EXPECT_FALSE(root_.Exists("t"));
}

TEST_F(TreeRemoverTest, WidthIsNoProblem) {
  ASSERT_TRUE(root_.MakeDir("t", 0755).ok());
  const RootDir t = *root_.OpenDir("t");
  for (int i = 0; i < 9000; ++i) {
    const int fd = openat(t.fd(), StrCat("f", i).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    close(fd);
  }
  EXPECT_TRUE(root_.RemoveAll("t").ok());
}

TEST_F(TreeRemoverTest, TwoRemoversAtOnceBothSucceed) {
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 50; ++i) scratch_.Write(StrCat("t/", i % 7, "/", i), "x");
    Status results[2];
    std::thread other([&] { results[0] = root_.RemoveAll("t"); });
    results[1] = root_.RemoveAll("t");
    other.join();
    EXPECT_FALSE(root_.Exists("t"));
    EXPECT_TRUE(results[0].ok()) << results[0].message();
    EXPECT_TRUE(results[1].ok()) << results[1].message();
  }
}

}  // namespace
}  // namespace minibox::core
