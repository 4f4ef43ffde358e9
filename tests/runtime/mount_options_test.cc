// SPDX-License-Identifier: Apache-2.0
#include "runtime/mount_options.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

namespace minibox::runtime {
namespace {

using Kind = Mount::Kind;

TEST(MountOptions, DefaultsDifferByKind) {
  const auto bind = ParseMountOptions(Kind::kBind, "", "f");
  EXPECT_EQ(bind->attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
  EXPECT_EQ(bind->propagation, uint64_t{MS_PRIVATE});
  EXPECT_TRUE(bind->create);
  const auto tmpfs = ParseMountOptions(Kind::kTmpfs, "", "f");
  EXPECT_EQ(tmpfs->attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  EXPECT_EQ(tmpfs->tmpfs_data, "mode=1777");
}

TEST(MountOptions, LaterWins) {
  const auto options = ParseMountOptions(Kind::kBind, "ro,rw,noexec,suid,dev,rshared,z,Z", "f");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->attributes, uint64_t{MOUNT_ATTR_NOEXEC});
  EXPECT_EQ(options->propagation, uint64_t{MS_SHARED});
}

TEST(MountOptions, TmpfsHasItsOwn) {
  const auto options = ParseMountOptions(Kind::kTmpfs, "size=50%,uid=1,gid=2,mode=700,exec", "f");
  ASSERT_TRUE(options.ok());
  EXPECT_EQ(options->tmpfs_data, "mode=700,size=50%,uid=1,gid=2");
  EXPECT_EQ(options->attributes, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
}

TEST(MountOptions, RefusesWhatAKindDoesNotHave) {
  const std::pair<Kind, const char*> wrong[] = {
      {Kind::kBind, "nocopy"},       {Kind::kBind, "size=1m"},      {Kind::kVolume, "nocreate"},
      {Kind::kTmpfs, "nocopy"},      {Kind::kTmpfs, "size=1m,x=1"}, {Kind::kTmpfs, "size=-1"},
      {Kind::kTmpfs, "mode=010000"}, {Kind::kTmpfs, "uid=root"},    {Kind::kBind, "ro rw"},
  };
  for (const auto& [kind, options] : wrong) {
    const auto status = ParseMountOptions(kind, options, "f").status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << options;
    EXPECT_EQ(status.field(), "f");
  }
}

TEST(CleanPath, NeverLeavesTheRoot) {
  EXPECT_EQ(CleanPath("/a/./b//../c/"), "/a/c");
  EXPECT_EQ(CleanPath("/../../x"), "/x");
  EXPECT_EQ(CleanPath("/"), "/");
  EXPECT_EQ(CleanPath("a"), std::nullopt);
  EXPECT_EQ(CleanPath(""), std::nullopt);
  EXPECT_EQ(CleanPath("/a\nb"), std::nullopt);
  EXPECT_EQ(CleanPath("/\xff"), std::nullopt);
  EXPECT_EQ(CleanPath("/" + std::string(4095, 'a')), std::nullopt);
}

TEST(IsWithin, ComparesComponents) {
  EXPECT_TRUE(IsWithin("/a/b", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/a"));
  EXPECT_TRUE(IsWithin("/a", "/"));
  EXPECT_FALSE(IsWithin("/ab", "/a"));
  EXPECT_FALSE(IsWithin("/a", "/a/b"));
}

}  // namespace
}  // namespace minibox::runtime
