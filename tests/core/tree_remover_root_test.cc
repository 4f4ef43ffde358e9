// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "core/root_dir.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

// Runs `body` on a thread with a mount namespace of its own, which ends with the thread.
template <typename Body>
void InMountNamespace(Body body) {
  std::thread thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    body();
  });
  thread.join();
}

TEST(TreeRemoverRoot, NeverEntersAMountPoint) {
  MBX_REQUIRE_ROOT();
  testing::Scratch scratch;
  scratch.Write("kept/file", "x");
  scratch.Write("t/mnt/below", "x");
  scratch.Write("t/other/file", "x");
  const RootDir root = *RootDir::Open(scratch.path());
  InMountNamespace([&] {
    // Of the same file system: the device number does not tell it.
    ASSERT_EQ(
        mount((scratch / "kept").c_str(), (scratch / "t/mnt").c_str(), nullptr, MS_BIND, nullptr),
        0);
    const Status removed = RootDir::Open(scratch.path())->RemoveAll("t");
    EXPECT_EQ(removed.sys_errno(), EBUSY) << removed.message();
  });
  EXPECT_EQ(*root.ReadFile("kept/file", 10), "x");
  EXPECT_TRUE(root.Exists("t/mnt/below"));
  EXPECT_FALSE(root.Exists("t/other"));
}

TEST(TreeRemoverRoot, DoesNotUnmountTheEntryItself) {
  MBX_REQUIRE_ROOT();
  testing::Scratch scratch;
  ASSERT_EQ(mkdir((scratch / "t").c_str(), 0755), 0);
  InMountNamespace([&] {
    ASSERT_EQ(mount("tmpfs", (scratch / "t").c_str(), "tmpfs", 0, nullptr), 0);
    scratch.Write("t/file", "x");
    const RootDir root = *RootDir::Open(scratch.path());
    EXPECT_EQ(root.RemoveAll("t").sys_errno(), EBUSY);
    EXPECT_TRUE(root.Exists("t/file"));
  });
}

}  // namespace
}  // namespace minibox::core
