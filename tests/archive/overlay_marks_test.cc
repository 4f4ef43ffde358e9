// SPDX-License-Identifier: Apache-2.0
#include "archive/overlay_marks.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/fd.h"
#include "support/scratch.h"

namespace minibox::archive {
namespace {

using ::minibox::testing::Scratch;

class OverlayMarks : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    dir_.reset(open(scratch_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  bool IsWhiteoutAt(const std::string& name) {
    struct ::stat st {};
    EXPECT_EQ(lstat((scratch_ / name).c_str(), &st), 0);
    const auto whiteout = IsWhiteout(dir_.get(), name, st);
    EXPECT_TRUE(whiteout.ok()) << whiteout.status().ToString();
    return whiteout.ok() && *whiteout;
  }
  Scratch scratch_;
  core::Fd dir_;
};

TEST_F(OverlayMarks, AWhiteoutIsADevice) {
  ASSERT_TRUE(MakeWhiteout(dir_.get(), "w").ok());
  struct ::stat st {};
  ASSERT_EQ(lstat((scratch_ / "w").c_str(), &st), 0);
  EXPECT_TRUE(S_ISCHR(st.st_mode));
  EXPECT_EQ(st.st_rdev, makedev(0, 0));
  EXPECT_TRUE(IsWhiteoutAt("w"));
}

TEST_F(OverlayMarks, OtherThingsAreNone) {
  scratch_.Write("empty", "");
  scratch_.Write("marked", "");
  ASSERT_EQ(setxattr((scratch_ / "marked").c_str(), "trusted.overlay.whiteout", "y", 1, 0), 0);
  ASSERT_EQ(mknod((scratch_ / "null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  EXPECT_FALSE(IsWhiteoutAt("empty"));
  EXPECT_FALSE(IsWhiteoutAt("null"));
  // The attribute form counts only where the directory says so.
  EXPECT_FALSE(IsWhiteoutAt("marked"));
  ASSERT_EQ(setxattr(scratch_.path().c_str(), "trusted.overlay.opaque", "x", 1, 0), 0);
  EXPECT_TRUE(IsWhiteoutAt("marked"));
  EXPECT_FALSE(IsWhiteoutAt("empty"));
}

TEST_F(OverlayMarks, Opaque) {
  EXPECT_FALSE(*IsOpaque(dir_.get()));
  ASSERT_TRUE(SetOpaque(dir_.get()).ok());
  EXPECT_TRUE(*IsOpaque(dir_.get()));
  char value[8];
  ASSERT_EQ(fgetxattr(dir_.get(), "trusted.overlay.opaque", value, sizeof value), 1);
  EXPECT_EQ(value[0], 'y');
  ASSERT_EQ(fsetxattr(dir_.get(), "trusted.overlay.opaque", "x", 1, 0), 0);
  EXPECT_FALSE(*IsOpaque(dir_.get()));
}

}  // namespace
}  // namespace minibox::archive
