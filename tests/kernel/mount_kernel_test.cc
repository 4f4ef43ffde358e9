// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <thread>

#include "kernel/mount.h"
#include "support/scratch.h"

namespace minibox::kernel {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;

TEST(UnmountTree, TakesStackedAndNestedMountsAndNoNeighbour) {
  MBX_REQUIRE_ROOT();
  const testing::Scratch scratch;
  const std::string tree = scratch / "tree", inner = scratch / "tree/inner";
  const std::string neighbour = scratch / "tree-too";
  ASSERT_EQ(mkdir(tree.c_str(), 0755), 0);
  ASSERT_EQ(mkdir(neighbour.c_str(), 0755), 0);
  // A thread with a mount namespace of its own, which goes with it.
  std::thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const auto mount_at = [](const std::string& path) {
      EXPECT_EQ(mount("none", path.c_str(), "tmpfs", 0, "size=64k"), 0) << path;
    };
    mount_at(tree);
    ASSERT_EQ(mkdir(inner.c_str(), 0755), 0);
    mount_at(inner);
    mount_at(tree);
    mount_at(neighbour);
    EXPECT_EQ(MountsBelow(tree)->size(), 3u);
    const Status unmounted = UnmountTree(tree);
    EXPECT_TRUE(unmounted.ok()) << unmounted.ToString();
    EXPECT_TRUE(MountsBelow(tree)->empty());
    EXPECT_THAT(*MountsBelow(neighbour), ElementsAre(Field(&MountEntry::target, neighbour)));
  }).join();
}

}  // namespace
}  // namespace minibox::kernel
