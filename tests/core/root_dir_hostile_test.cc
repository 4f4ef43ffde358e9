// SPDX-License-Identifier: Apache-2.0
// Trees that are made, or changed while they are used, to lead outside.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "core/file.h"
#include "core/root_dir.h"
#include "core/strings.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

// <scratch>/root is the root, <scratch>/outside what nobody may reach.
class RootDirHostileTest : public ::testing::Test {
 protected:
  RootDirHostileTest() {
    scratch_.Write("outside/secret", "outside");
    scratch_.Write("root/inside/secret", "inside");
    root_ = *RootDir::Open(scratch_ / "root");
  }

  // Exchanges two entries of the root for as long as `body` runs; in the end all is as before.
  void WhileExchanging(const char* a, const char* b, const std::function<void()>& body) {
    std::atomic<bool> stop = false;
    std::atomic<int> swaps = 0;
    std::thread racer([&] {
      while (!stop) {
        if (renameat2(root_.fd(), a, root_.fd(), b, RENAME_EXCHANGE) == 0) ++swaps;
      }
      if (swaps % 2 == 1) (void)renameat2(root_.fd(), a, root_.fd(), b, RENAME_EXCHANGE);
    });
    while (swaps < 2) std::this_thread::yield();
    body();
    stop = true;
    racer.join();
  }

  testing::Scratch scratch_;
  RootDir root_;
};

TEST_F(RootDirHostileTest, NoSpellingOfTheParentLeaves) {
  ASSERT_TRUE(root_.Symlink("..", "up").ok());
  ASSERT_TRUE(root_.Symlink("up/up/up/..", "upper").ok());
  ASSERT_TRUE(root_.Symlink(scratch_ / "outside", "abs").ok());
  ASSERT_TRUE(root_.Symlink("../outside", "rel").ok());
  ASSERT_TRUE(root_.Symlink("/../../../../../../" + (scratch_ / "outside"), "abs2").ok());
  for (const char* path :
       {"../outside/secret", "inside/../../outside/secret", "up/outside/secret",
        "upper/outside/secret", "abs/secret", "rel/secret", "abs2/secret",
        "inside/../up/outside/secret", "up/../../outside/secret", "/../outside/secret"}) {
    EXPECT_EQ(root_.ReadFile(path, 100).status().sys_errno(), ENOENT) << path;
    EXPECT_FALSE(root_.Exists(path)) << path;
    EXPECT_FALSE(root_.OpenAt(path, O_PATH).ok()) << path;
  }
}

TEST_F(RootDirHostileTest, MagicLinksAreNotFollowed) {
  const RootDir proc = *RootDir::Open("/proc/self");
  for (const char* path : {"root/etc/passwd", "cwd", "exe", "fd/0", "ns/mnt"}) {
    EXPECT_EQ(proc.OpenAt(path, O_RDONLY).status().sys_errno(), ELOOP) << path;
  }
  EXPECT_TRUE(proc.OpenNoFollow("exe", O_PATH).ok());
  EXPECT_FALSE(proc.ReadLink("exe")->empty());
}

TEST_F(RootDirHostileTest, LinkSwappedForADirectoryNeverLeadsOut) {
  ASSERT_TRUE(root_.Symlink(scratch_ / "outside", "swap").ok());
  ASSERT_TRUE(root_.Symlink("../outside", "swap2").ok());
  for (const char* link : {"swap", "swap2"}) {
    int inside = 0;
    WhileExchanging("inside", link, [&] {
      // On a busy processor the racer may be away, with the link in place, for all 3000 tries.
      for (int i = 0; i < 3000 || (inside == 0 && i < 1'000'000); ++i) {
        const auto content = root_.ReadFile("inside/secret", 100);
        if (!content.ok()) continue;
        EXPECT_EQ(*content, "inside");
        ++inside;
      }
    });
    EXPECT_GT(inside, 0) << link;
  }
}

TEST_F(RootDirHostileTest, LastComponentSwappedForALinkIsNeverFollowed) {
  scratch_.Write("root/file", "inside");
  ASSERT_TRUE(root_.Symlink("../outside/secret", "link").ok());
  WhileExchanging("file", "link", [&] {
    for (int i = 0; i < 3000; ++i) {
      const auto fd = root_.OpenNoFollow("file", O_RDONLY);
      if (fd.ok()) {
        EXPECT_EQ(*ReadAll(fd->get(), 100), "inside");
      }
      const auto followed = root_.OpenAt("file", O_RDWR | O_CREAT, 0600);
      if (followed.ok()) {
        EXPECT_NE(*ReadAll(followed->get(), 100), "outside");
      }
    }
  });
  EXPECT_EQ(testing::ReadWholeFile(scratch_ / "outside/secret"), "outside");
}

TEST_F(RootDirHostileTest, DirectoryMovedOutMeanwhileDoesNotTakeUsAlong) {
  // While a/b/c is resolved, b moves next to the root; ".." from there must not count as inside.
  scratch_.Write("root/a/b/c/file", "x");
  scratch_.Write("root/mark", "inside");
  scratch_.Write("mark", "outside");
  std::atomic<bool> stop = false;
  std::thread racer([&] {
    const std::string in = scratch_ / "root/a/b", out = scratch_ / "moved";
    while (!stop) {
      (void)rename(in.c_str(), out.c_str());
      (void)rename(out.c_str(), in.c_str());
    }
  });
  int found = 0;
  for (int i = 0; i < 5000 || (found == 0 && i < 1'000'000); ++i) {
    const auto content = root_.ReadFile("a/b/c/../../../../../mark", 100);
    if (!content.ok()) continue;
    EXPECT_EQ(*content, "inside");
    ++found;
  }
  stop = true;
  racer.join();
  EXPECT_GT(found, 0);
}

TEST_F(RootDirHostileTest, MakeDirsAgainstSwapsCreatesNothingOutside) {
  ASSERT_TRUE(root_.Symlink("../outside", "swap").ok());
  WhileExchanging("inside", "swap", [&] {
    for (int i = 0; i < 500; ++i) (void)root_.MakeDirs(StrCat("inside/d", i, "/e"), 0755);
  });
  EXPECT_EQ(RootDir::Open(scratch_ / "outside")->List("")->size(), 1u);
}

TEST_F(RootDirHostileTest, RemoveAllAgainstSwapsTouchesNothingOutside) {
  for (int round = 0; round < 200; ++round) {
    scratch_.Write("root/victim/sub/file", "x");
    (void)root_.Symlink("../../outside", "victim/link");
    std::atomic<bool> done = false;
    std::thread racer([&] {
      while (!done) {
        (void)renameat2(root_.fd(), "victim/sub", root_.fd(), "victim/link", RENAME_EXCHANGE);
      }
    });
    (void)root_.RemoveAll("victim");
    done = true;
    racer.join();
    EXPECT_TRUE(root_.RemoveAll("victim").ok());
  }
  EXPECT_EQ(testing::ReadWholeFile(scratch_ / "outside/secret"), "outside");
}

}  // namespace
}  // namespace minibox::core
