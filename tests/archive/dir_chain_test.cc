// SPDX-License-Identifier: Apache-2.0
#include "archive/dir_chain.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/scratch.h"

namespace minibox::archive {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::Scratch;

ino_t InodeOf(int fd) {
  struct ::stat st {};
  EXPECT_EQ(fstat(fd, &st), 0);
  return st.st_ino;
}

ino_t InodeOf(const std::string& path) {
  struct ::stat st {};
  EXPECT_EQ(stat(path.c_str(), &st), 0) << path;
  return st.st_ino;
}

class DirChainTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto root = core::RootDir::Open(scratch_.path());
    ASSERT_TRUE(root.ok());
    root_ = *std::move(root);
    auto chain = DirChain::Create(root_);
    ASSERT_TRUE(chain.ok());
    chain_.emplace(*std::move(chain));
  }
  Scratch scratch_;
  core::RootDir root_;
  std::optional<DirChain> chain_;
};

TEST_F(DirChainTest, GoesUpDownAndAside) {
  for (const char* path : {"a/b/c", "a/bc", "d"}) fs::create_directories(scratch_ / path);
  for (const char* path : {"a/b/c", "a/b", "a/bc", "", "d", "a/b/c", "a"}) {
    const auto fd = chain_->Open(path);
    ASSERT_TRUE(fd.ok()) << path << fd.status().ToString();
    EXPECT_EQ(InodeOf(*fd), InodeOf(scratch_ / path)) << path;
  }
  EXPECT_EQ(chain_->Open("a/x").status().sys_errno(), ENOENT);
  scratch_.Write("file", "");
  EXPECT_EQ(chain_->Open("file/x").status().sys_errno(), ENOTDIR);
}

TEST_F(DirChainTest, LinksAreResolvedFromTheRoot) {
  fs::create_directories(scratch_ / "a/b");
  fs::create_directories(scratch_ / "target/sub");
  fs::create_symlink("/target", scratch_ / "a/b/link");
  fs::create_symlink("../../../../target", scratch_ / "a/up");
  for (const char* path : {"a/b/link/sub", "a/up/sub"}) {
    const auto fd = chain_->Open(path);
    ASSERT_TRUE(fd.ok()) << path << fd.status().ToString();
    EXPECT_EQ(InodeOf(*fd), InodeOf(scratch_ / "target/sub"));
  }
}

TEST_F(DirChainTest, ForgetsWhatWasReplaced) {
  fs::create_directories(scratch_ / "a/b");
  fs::create_directories(scratch_ / "other/b");
  ASSERT_TRUE(chain_->Open("a/b").ok());
  fs::rename(scratch_ / "a", scratch_ / "moved");
  fs::create_symlink("other", scratch_ / "a");
  chain_->Forget();
  const auto fd = chain_->Open("a/b");
  ASSERT_TRUE(fd.ok());
  EXPECT_EQ(InodeOf(*fd), InodeOf(scratch_ / "other/b"));
}

TEST_F(DirChainTest, MakesWhatIsMissing) {
  std::vector<std::string> made;
  const auto make = [&](int parent, const std::string& name, std::string_view path, bool exists) {
    EXPECT_FALSE(exists);
    made.emplace_back(path);
    EXPECT_EQ(mkdirat(parent, name.c_str(), 0700), 0);
    return Status();
  };
  fs::create_directory(scratch_ / "a");
  const auto fd = chain_->Open("a/b/c", make);
  ASSERT_TRUE(fd.ok()) << fd.status().ToString();
  EXPECT_EQ(made, (std::vector<std::string>{"a/b", "a/b/c"}));
  EXPECT_EQ(InodeOf(*fd), InodeOf(scratch_ / "a/b/c"));
}

TEST_F(DirChainTest, HoldsFewDescriptors) {
  std::string path;
  for (int i = 0; i < 200; ++i) path += path.empty() ? "d" : "/d";
  const auto make = [](int parent, const std::string& name, std::string_view, bool) {
    EXPECT_EQ(mkdirat(parent, name.c_str(), 0700), 0);
    return Status();
  };
  ASSERT_TRUE(chain_->Open(path, make).ok());
  const auto open = std::distance(fs::directory_iterator("/proc/self/fd"), {});
  EXPECT_LT(open, 40);
  EXPECT_EQ(InodeOf(*chain_->Open(path.substr(0, 5))), InodeOf(scratch_ / path.substr(0, 5)));
}

}  // namespace
}  // namespace minibox::archive
