// SPDX-License-Identifier: Apache-2.0
#include "kernel/overlay.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "core/file.h"
#include "core/root_dir.h"
#include "core/strings.h"
#include "kernel/features.h"
#include "support/scratch.h"

namespace minibox::kernel {
namespace {

using ::minibox::testing::ReadWholeFile;
using ::minibox::testing::Scratch;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

core::Fd OpenDirectory(const std::string& path) {
  std::filesystem::create_directories(path);
  core::Fd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  EXPECT_TRUE(fd.valid()) << path;
  return fd;
}

class OverlayTest : public ::testing::TestWithParam<OverlayLayers> {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    const Features& host = HostFeatures();
    if (!host.overlay) GTEST_SKIP() << "needs overlayfs";
    if (GetParam() == OverlayLayers::kDescriptors && !host.overlay_descriptors) {
      GTEST_SKIP() << "needs overlay layers by descriptor";
    }
    if (GetParam() == OverlayLayers::kAppended && !host.overlay_appended) {
      GTEST_SKIP() << "needs overlay parameter lowerdir+";
    }
  }

  Scratch scratch_;
};

TEST_P(OverlayTest, NearestLowerWinsAndWritesGoToTheUpper) {
  scratch_.Write("near/both", "near");
  scratch_.Write("far/both", "far");
  scratch_.Write("far/only", "far only");
  const core::Fd near = OpenDirectory(scratch_ / "near"), far = OpenDirectory(scratch_ / "far");
  const core::Fd upper = OpenDirectory(scratch_ / "upper"), work = OpenDirectory(scratch_ / "work");
  {
    auto mount = MountOverlay({{near.get(), far.get()}, upper.get(), work.get()}, GetParam());
    ASSERT_TRUE(mount.ok()) << mount.status().ToString();
    const core::RootDir root(std::move(*mount));
    EXPECT_EQ(*root.ReadFile("both", 100), "near");
    EXPECT_EQ(*root.ReadFile("only", 100), "far only");
    ASSERT_TRUE(root.MakeDirs("a/b", 0755).ok());
    auto file = root.OpenAt("a/b/new", O_CREAT | O_WRONLY, 0644);
    ASSERT_TRUE(file.ok()) << file.status().ToString();
    ASSERT_TRUE(core::WriteAll(file->get(), "written").ok());
    ASSERT_TRUE(root.Unlink("only").ok());
    EXPECT_FALSE(root.Exists("only"));
  }
  EXPECT_EQ(ReadWholeFile(scratch_ / "upper/a/b/new"), "written");
  EXPECT_EQ(ReadWholeFile(scratch_ / "far/only"), "far only");
  struct stat whiteout;
  ASSERT_EQ(lstat((scratch_ / "upper/only").c_str(), &whiteout), 0);
  EXPECT_TRUE(S_ISCHR(whiteout.st_mode));
  EXPECT_EQ(whiteout.st_rdev, makedev(0, 0));
}

TEST_P(OverlayTest, RenamedLowerDirectoryIsRefusedNotRedirected) {
  scratch_.Write("lower/dir/file", "x");
  const core::Fd lower = OpenDirectory(scratch_ / "lower");
  const core::Fd upper = OpenDirectory(scratch_ / "upper"), work = OpenDirectory(scratch_ / "work");
  auto mount = MountOverlay({{lower.get()}, upper.get(), work.get()}, GetParam());
  ASSERT_TRUE(mount.ok()) << mount.status().ToString();
  EXPECT_EQ(renameat(mount->get(), "dir", mount->get(), "moved"), -1);
  EXPECT_EQ(errno, EXDEV);
}

TEST_P(OverlayTest, WithoutUpperItIsReadOnly) {
  scratch_.Write("near/a", "1");
  scratch_.Write("far/b", "2");
  const core::Fd near = OpenDirectory(scratch_ / "near"), far = OpenDirectory(scratch_ / "far");
  auto mount = MountOverlay({{near.get(), far.get()}}, GetParam());
  ASSERT_TRUE(mount.ok()) << mount.status().ToString();
  const core::RootDir root(std::move(*mount));
  EXPECT_THAT(*root.List(""), ElementsAre("a", "b"));
  EXPECT_EQ(root.MakeDir("c", 0755).sys_errno(), EROFS);
}

TEST_P(OverlayTest, OneLowerWithoutUpper) {
  scratch_.Write("only/a", "1");
  const core::Fd only = OpenDirectory(scratch_ / "only");
  // As an option it is beyond older kernels, which are helped otherwise.
  auto mount = GetParam() == OverlayLayers::kOption ? MountOverlay({{only.get()}})
                                                    : MountOverlay({{only.get()}}, GetParam());
  ASSERT_TRUE(mount.ok()) << mount.status().ToString();
  const core::RootDir root(std::move(*mount));
  EXPECT_THAT(*root.List(""), ElementsAre("a"));
  EXPECT_EQ(*root.ReadFile("a", 10), "1");
  EXPECT_EQ(root.MakeDir("c", 0755).sys_errno(), EROFS);
}

TEST_P(OverlayTest, TheMountIsNosuidNodevNoexec) {
  const core::Fd lower = OpenDirectory(scratch_ / "lower");
  const core::Fd upper = OpenDirectory(scratch_ / "upper"), work = OpenDirectory(scratch_ / "work");
  auto mount = MountOverlay({{lower.get()}, upper.get(), work.get()}, GetParam());
  ASSERT_TRUE(mount.ok()) << mount.status().ToString();
  struct statvfs status;
  ASSERT_EQ(fstatvfs(mount->get(), &status), 0);
  const auto wanted = ST_NOSUID | ST_NODEV | ST_NOEXEC;
  EXPECT_EQ(static_cast<unsigned long>(status.f_flag) & wanted, wanted);
}

TEST_P(OverlayTest, ManyLayers) {
  std::vector<core::Fd> layers;
  OverlaySpec spec;
  for (int i = 0; i < 60; ++i) {
    scratch_.Write(core::StrCat("l", i, "/f", i), core::StrCat(i));
    layers.push_back(OpenDirectory(scratch_ / core::StrCat("l", i)));
    spec.lowers.push_back(layers.back().get());
  }
  auto mount = MountOverlay(spec, GetParam());
  if (GetParam() == OverlayLayers::kOption) {
    ASSERT_FALSE(mount.ok());
    EXPECT_EQ(mount.status().reason(), "unsupported_by_host");
    EXPECT_THAT(mount.status().message(), HasSubstr("cannot stack 60 layers"));
    return;
  }
  ASSERT_TRUE(mount.ok()) << mount.status().ToString();
  const core::RootDir root(std::move(*mount));
  EXPECT_EQ(root.List("")->size(), 60u);
  EXPECT_EQ(*root.ReadFile("f59", 10), "59");
}

TEST_P(OverlayTest, FailureSaysWhatTheKernelSaid) {
  const core::Fd file(open(scratch_.Write("file", "").c_str(), O_PATH | O_CLOEXEC));
  const core::Fd lower = OpenDirectory(scratch_ / "lower");
  auto mount = MountOverlay({{file.get(), lower.get()}}, GetParam());
  ASSERT_FALSE(mount.ok());
  // Before 6.5 its words are in the kernel's log only.
  if (HostFeatures().overlay_appended) {
    EXPECT_THAT(mount.status().message(), HasSubstr("not a directory"));
  }
}

TEST_P(OverlayTest, WorkInsideTheUpperIsRefused) {
  const core::Fd lower = OpenDirectory(scratch_ / "lower"), upper = OpenDirectory(scratch_ / "up");
  const core::Fd work = OpenDirectory(scratch_ / "up/work");
  auto mount = MountOverlay({{lower.get()}, upper.get(), work.get()}, GetParam());
  EXPECT_EQ(mount.status().sys_errno(), EINVAL);
}

INSTANTIATE_TEST_SUITE_P(Ways, OverlayTest,
                         ::testing::Values(OverlayLayers::kDescriptors, OverlayLayers::kAppended,
                                           OverlayLayers::kOption),
                         [](const auto& info) {
                           switch (info.param) {
                             case OverlayLayers::kDescriptors:
                               return "Descriptors";
                             case OverlayLayers::kAppended:
                               return "Appended";
                             case OverlayLayers::kOption:
                               return "Option";
                           }
                           return "";
                         });

TEST(Overlay, WrongSpecsAreRefused) {
  EXPECT_EQ(MountOverlay({}).status().code(), StatusCode::kInvalidArgument);
  const OverlaySpec no_work{{0}, 0, -1};
  EXPECT_EQ(MountOverlay(no_work).status().field(), "work");
}

}  // namespace
}  // namespace minibox::kernel
