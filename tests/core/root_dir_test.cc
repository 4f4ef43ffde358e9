// SPDX-License-Identifier: Apache-2.0
#include "core/root_dir.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "core/file.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

using ::testing::ElementsAre;

class RootDirTest : public ::testing::Test {
 protected:
  testing::Scratch scratch_;
  RootDir root_ = *RootDir::Open(scratch_.path());
};

TEST_F(RootDirTest, PathsMayBeginWithASlashOrNot) {
  scratch_.Write("a/f", "text");
  for (const char* path : {"a/f", "/a/f", "//a///f", "./a/./f", "/../a/f", "a/../a/f"}) {
    EXPECT_EQ(*root_.ReadFile(path, 100), "text") << path;
  }
  for (const char* path : {"", ".", "/", "..", "/../..", "a/.."}) {
    EXPECT_THAT(*root_.List(path), ElementsAre("a")) << path;
  }
}

TEST_F(RootDirTest, OpenAtHonoursFlagsAndMode) {
  {
    const auto fd = root_.OpenAt("new", O_WRONLY | O_CREAT | O_EXCL, 0640);
    ASSERT_TRUE(fd.ok());
    EXPECT_NE(fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_TRUE(WriteAll(fd->get(), "x").ok());
  }
  EXPECT_EQ(root_.Stat("new")->st_mode & 0777, 0640u);
  EXPECT_EQ(root_.OpenAt("new", O_WRONLY | O_CREAT | O_EXCL, 0640).status().sys_errno(), EEXIST);
  EXPECT_EQ(root_.OpenAt("new", O_RDONLY | O_DIRECTORY).status().sys_errno(), ENOTDIR);
  EXPECT_EQ(root_.OpenAt("new/", O_RDONLY).status().sys_errno(), ENOTDIR);
  EXPECT_EQ(root_.OpenAt("new/x", O_RDONLY).status().sys_errno(), ENOTDIR);
  EXPECT_EQ(root_.OpenAt("none", O_RDONLY, 0777).status().sys_errno(), ENOENT);
  // A mode without O_CREAT is no mistake.
  EXPECT_TRUE(root_.OpenAt("new", O_RDONLY, 0777).ok());
}

TEST_F(RootDirTest, LinksResolveInsideTheRoot) {
  scratch_.Write("etc/hosts", "inside");
  ASSERT_TRUE(root_.Symlink("/etc", "abs").ok());
  ASSERT_TRUE(root_.Symlink("../../../etc/hosts", "up").ok());
  ASSERT_TRUE(root_.Symlink("abs/hosts", "chain").ok());
  ASSERT_TRUE(root_.Symlink("etc/", "slash").ok());
  for (const char* path : {"abs/hosts", "up", "chain", "slash/hosts", "slash/../up"}) {
    EXPECT_EQ(*root_.ReadFile(path, 100), "inside") << path;
  }
  ASSERT_TRUE(root_.Symlink("/", "rootlink").ok());
  EXPECT_EQ(*root_.ReadFile("rootlink/rootlink/etc/hosts", 100), "inside");
}

TEST_F(RootDirTest, LinkLoopsEnd) {
  ASSERT_TRUE(root_.Symlink("b", "a").ok());
  ASSERT_TRUE(root_.Symlink("a", "b").ok());
  EXPECT_EQ(root_.OpenAt("a", O_RDONLY).status().sys_errno(), ELOOP);
  EXPECT_EQ(root_.OpenAt("a/x", O_RDONLY).status().sys_errno(), ELOOP);
  EXPECT_TRUE(root_.Exists("a"));
}

TEST_F(RootDirTest, CreatingThroughADanglingLinkStaysInside) {
  ASSERT_TRUE(root_.Symlink("/target", "l").ok());
  { ASSERT_TRUE(root_.OpenAt("l", O_WRONLY | O_CREAT, 0600).ok()); }
  EXPECT_TRUE(S_ISREG(root_.LStat("target")->st_mode));
  EXPECT_EQ(root_.OpenAt("l", O_WRONLY | O_CREAT | O_EXCL, 0600).status().sys_errno(), EEXIST);
}

TEST_F(RootDirTest, OpenNoFollowRefusesALinkAsLastComponent) {
  scratch_.Write("d/f", "x");
  ASSERT_TRUE(root_.Symlink("d", "l").ok());
  EXPECT_EQ(root_.OpenNoFollow("l", O_RDONLY).status().sys_errno(), ELOOP);
  EXPECT_EQ(root_.OpenNoFollow("l/", O_RDONLY).status().sys_errno(), ELOOP);
  EXPECT_EQ(root_.OpenNoFollow("l/.", O_RDONLY).status().sys_errno(), ELOOP);
  EXPECT_TRUE(root_.OpenNoFollow("l/f", O_RDONLY).ok());
  EXPECT_TRUE(root_.OpenNoFollow("", O_RDONLY | O_DIRECTORY).ok());
  const auto link = root_.OpenNoFollow("l", O_PATH);
  ASSERT_TRUE(link.ok());
  struct ::stat st {};
  ASSERT_EQ(fstat(link->get(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
}

TEST_F(RootDirTest, OpenParentGivesTheLastComponent) {
  scratch_.Write("a/b/c", "x");
  ASSERT_TRUE(root_.Symlink("/a/b", "l").ok());
  for (const char* path : {"a/b/c", "/l/c", "l/c/", "l/c/./", "/../a/b/../b/c"}) {
    const auto parent = root_.OpenParent(path);
    ASSERT_TRUE(parent.ok()) << path;
    EXPECT_EQ(parent->name, "c") << path;
    EXPECT_EQ(faccessat(parent->dir.get(), "c", F_OK, 0), 0) << path;
  }
  for (const char* path : {"", "/", ".", "./", "//."}) {
    EXPECT_EQ(root_.OpenParent(path)->name, ".") << path;
  }
  for (const char* path : {"..", "a/..", "/..", "a/../", "a/.././"}) {
    EXPECT_EQ(root_.OpenParent(path).status().code(), StatusCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(root_.OpenParent("none/x").status().sys_errno(), ENOENT);
}

TEST_F(RootDirTest, StatFollowsAndLStatDoesNot) {
  scratch_.Write("f", "12345");
  ASSERT_TRUE(root_.Symlink("/f", "l").ok());
  EXPECT_EQ(root_.Stat("l")->st_size, 5);
  EXPECT_TRUE(S_ISLNK(root_.LStat("l")->st_mode));
  EXPECT_EQ(*root_.ReadLink("l"), "/f");
  EXPECT_EQ(root_.ReadLink("f").status().sys_errno(), EINVAL);
  EXPECT_FALSE(root_.Exists("none"));
  ASSERT_TRUE(root_.Symlink("nowhere", "dangling").ok());
  EXPECT_TRUE(root_.Exists("dangling"));
  EXPECT_EQ(root_.Stat("dangling").status().sys_errno(), ENOENT);
}

TEST_F(RootDirTest, ListIsSortedByBytes) {
  for (const char* name : {"b", "a", "B", "\xff", ".hidden"}) scratch_.Write(name, "");
  EXPECT_THAT(*root_.List(""), ElementsAre(".hidden", "B", "a", "b", "\xff"));
  EXPECT_EQ(root_.List("a").status().sys_errno(), ENOTDIR);
}

TEST_F(RootDirTest, ReadFileOpensRegularFilesOnly) {
  ASSERT_EQ(mkfifo((scratch_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(root_.ReadFile("fifo", 100).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.ReadFile(".", 100).status().sys_errno(), EISDIR);
  scratch_.Write("big", "12345");
  EXPECT_EQ(root_.ReadFile("big", 4).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(RootDirTest, MakeDirIgnoresTheUmaskAndRefusesWhatExists) {
  const mode_t before = umask(077);
  const Status made = root_.MakeDir("d", 0757);
  const Status deep = root_.MakeDirs("x/y/z", 01777);
  umask(before);
  ASSERT_TRUE(made.ok() && deep.ok());
  EXPECT_EQ(root_.Stat("d")->st_mode & 07777, 0757u);
  for (const char* path : {"x", "x/y", "x/y/z"}) {
    EXPECT_EQ(root_.Stat(path)->st_mode & 07777, 01777u) << path;
  }
  EXPECT_EQ(root_.MakeDir("d", 0700).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(root_.MakeDir("/", 0700).code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(root_.MakeDir("none/d", 0700).code(), StatusCode::kNotFound);
}

TEST_F(RootDirTest, MakeDirsCreatesWhatIsMissingThroughLinks) {
  ASSERT_TRUE(root_.MakeDirs("a/b", 0755).ok());
  ASSERT_TRUE(root_.MakeDirs("a/b", 0700).ok());
  EXPECT_EQ(root_.Stat("a/b")->st_mode & 07777, 0755u);
  ASSERT_TRUE(root_.Symlink("/run", "a/var-run").ok());  // dangling, as in many base images
  ASSERT_TRUE(root_.MakeDirs("a/var-run/app/sock", 0755).ok());
  EXPECT_TRUE(S_ISDIR(root_.LStat("run/app/sock")->st_mode));
  ASSERT_TRUE(root_.Symlink("../../../../out", "a/b/up").ok());
  ASSERT_TRUE(root_.MakeDirs("a/b/up/x", 0755).ok());
  EXPECT_TRUE(S_ISDIR(root_.LStat("out/x")->st_mode));
  ASSERT_TRUE(root_.MakeDirs("", 0755).ok());
  ASSERT_TRUE(root_.MakeDirs("/p/../q", 0755).ok());
  EXPECT_TRUE(root_.Exists("q"));
  scratch_.Write("file", "");
  EXPECT_EQ(root_.MakeDirs("file", 0755).sys_errno(), ENOTDIR);
  EXPECT_EQ(root_.MakeDirs("file/x", 0755).sys_errno(), ENOTDIR);
}

TEST_F(RootDirTest, MakeDirsGivesRootsOwnerEvenBelowSetgid) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(root_.MakeDir("d", 0777).ok());
  ASSERT_EQ(chown((scratch_ / "d").c_str(), 1000, 1000), 0);
  ASSERT_EQ(chmod((scratch_ / "d").c_str(), 02777), 0);
  ASSERT_TRUE(root_.MakeDirs("d/x", 0755).ok());
  EXPECT_EQ(root_.Stat("d/x")->st_gid, 0u);
  EXPECT_EQ(root_.Stat("d/x")->st_mode & 07777, 0755u);
}

TEST_F(RootDirTest, UnlinkRemovesTheEntryItself) {
  scratch_.Write("f", "x");
  ASSERT_TRUE(root_.Symlink("f", "l").ok());
  ASSERT_TRUE(root_.Unlink("l").ok());
  EXPECT_TRUE(root_.Exists("f"));
  EXPECT_EQ(root_.Unlink("l").code(), StatusCode::kNotFound);
  ASSERT_TRUE(root_.MakeDir("d", 0700).ok());
  EXPECT_FALSE(root_.Unlink("d").ok());
}

TEST_F(RootDirTest, RenameReplacesOnlyIfToldTo) {
  scratch_.Write("a", "A");
  scratch_.Write("d/b", "B");
  EXPECT_EQ(root_.Rename("a", "d/b").code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(*root_.ReadFile("d/b", 10), "B");
  ASSERT_TRUE(root_.Rename("a", "d/b", true).ok());
  EXPECT_EQ(*root_.ReadFile("d/b", 10), "A");
  ASSERT_TRUE(root_.Rename("d/b", "c").ok());
  EXPECT_EQ(*root_.ReadFile("c", 10), "A");
  EXPECT_EQ(root_.Rename("none", "x").code(), StatusCode::kNotFound);
}

TEST_F(RootDirTest, CloneAndOpenDirAreIndependent) {
  scratch_.Write("d/f", "x");
  RootDir sub = *root_.OpenDir("d");
  RootDir clone = *root_.Clone();
  EXPECT_EQ(*sub.ReadFile("../../f", 10), "x");
  EXPECT_NE(clone.fd(), root_.fd());
  EXPECT_EQ(*clone.ReadFile("d/f", 10), "x");
  EXPECT_EQ(root_.OpenDir("d/f").status().sys_errno(), ENOTDIR);
  EXPECT_FALSE(RootDir().valid());
  EXPECT_EQ(RootDir::Open(scratch_ / "none").status().code(), StatusCode::kNotFound);
}

TEST_F(RootDirTest, NulAndOverlongPathsAreRefused) {
  const std::string_view nul("f\0g", 3);
  scratch_.Write("f", "x");
  EXPECT_EQ(root_.ReadFile(nul, 10).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.MakeDirs(nul, 0755).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.RemoveAll(nul).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.Symlink(nul, "l").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(root_.Symlink("f", nul).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(root_.Exists("f"));
  EXPECT_EQ(root_.ReadFile(std::string(5000, 'a'), 10).status().sys_errno(), ENAMETOOLONG);
  EXPECT_EQ(root_.ReadFile(std::string(300, 'a'), 10).status().sys_errno(), ENAMETOOLONG);
}

}  // namespace
}  // namespace minibox::core
