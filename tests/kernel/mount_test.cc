// SPDX-License-Identifier: Apache-2.0
#include "kernel/mount.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/scratch.h"

namespace minibox::kernel {
namespace {

using ::testing::Contains;
using ::testing::Field;

TEST(Mount, TableIsReadWithItsEscapes) {
  const testing::Scratch scratch;
  const std::string file = scratch.Write(
      "mountinfo",
      "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n"
      "35 22 0:31 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
      "90 22 0:50 /sub /a\\040b rw,nosuid,nodev master:3 propagate_from:1 - tmpfs none "
      "rw,size=64k\n");
  const auto table = ReadMountTable(file);
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  ASSERT_EQ(table->size(), 3u);
  EXPECT_EQ((*table)[1].type, "cgroup");
  EXPECT_EQ((*table)[1].super_options, "rw,memory");
  const MountEntry& last = (*table)[2];
  EXPECT_EQ(last.id, 90);
  EXPECT_EQ(last.parent_id, 22);
  EXPECT_EQ(last.root, "/sub");
  EXPECT_EQ(last.target, "/a b");
  EXPECT_EQ(last.type, "tmpfs");
  EXPECT_EQ(last.source, "none");
  EXPECT_EQ(last.options, "rw,nosuid,nodev");
  EXPECT_EQ(last.super_options, "rw,size=64k");
}

TEST(Mount, OwnTableHasProc) {
  const auto table = ReadMountTable();
  ASSERT_TRUE(table.ok()) << table.status().ToString();
  EXPECT_THAT(*table, Contains(Field(&MountEntry::target, "/proc")));
}

TEST(Mount, MissingTableIsAnError) {
  EXPECT_EQ(ReadMountTable("/nonexistent").status().code(), StatusCode::kNotFound);
}

TEST(Mount, NothingBelowIsFine) {
  const testing::Scratch scratch;
  EXPECT_TRUE(MountsBelow(scratch.path())->empty());
  EXPECT_TRUE(UnmountTree(scratch.path()).ok());
}

}  // namespace
}  // namespace minibox::kernel
