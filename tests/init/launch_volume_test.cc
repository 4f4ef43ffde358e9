// SPDX-License-Identifier: Apache-2.0
// Volumes that are filled from the image.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "init/protocol.h"
#include "launch_fixture.h"

namespace minibox::init {
namespace {

namespace fs = std::filesystem;
using testing::ReadWholeFile;

class LaunchVolume : public LaunchTest {
 protected:
  void SetUp() override {
    LaunchTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    fs::create_directory(Path("volume"));
    scratch_.Write("layer/srv/dir/file", "content\n", 0640);
    scratch_.Write("layer/srv/other", "other\n");
    fs::create_symlink("/etc/passwd", Path("layer/srv/link"));
    ASSERT_EQ(mkfifo(Path("layer/srv/fifo").c_str(), 0600), 0);
    ASSERT_EQ(chown(Path("layer/srv/dir/file").c_str(), 33, 34), 0);
    ASSERT_EQ(lchown(Path("layer/srv/link").c_str(), 35, 36), 0);
    ASSERT_EQ(chown(Path("layer/srv").c_str(), 33, 34), 0);
    ASSERT_EQ(chmod(Path("layer/srv").c_str(), 02750), 0);
    ASSERT_EQ(setxattr(Path("layer/srv/other").c_str(), "user.note", "hi", 2, 0), 0);
    const timespec times[] = {{.tv_sec = 1000, .tv_nsec = 5}, {.tv_sec = 2000, .tv_nsec = 6}};
    ASSERT_EQ(utimensat(AT_FDCWD, Path("layer/srv/dir").c_str(), times, 0), 0);
    volume_ = OpenDir("volume");
    fds_.binds = {volume_.get()};
  }
  LaunchSpec VolumeSpec(std::string script, std::string target = "/srv") const {
    LaunchSpec spec = Script(std::move(script));
    MountOp mount;
    mount.target = std::move(target);
    mount.fd_index = 0;
    mount.recursive = true;
    mount.id_mapped = true;
    mount.copy_up = true;
    mount.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    spec.mounts.push_back(mount);
    return spec;
  }
  struct stat Stat(std::string_view name) const {
    struct stat status {};
    EXPECT_EQ(lstat(Path(name).c_str(), &status), 0) << name;
    return status;
  }
  core::Fd volume_;
};

TEST_F(LaunchVolume, EmptyOnesAreFilledWithEverythingAsItWas) {
  EXPECT_EQ(OutputOf(VolumeSpec("cat /srv/dir/file; stat -c %u:%g:%a /srv /srv/dir/file")),
            "content\n33:34:2750\n33:34:640\n");
  EXPECT_EQ(ReadWholeFile(Path("volume/dir/file")), "content\n");
  EXPECT_EQ(Stat("volume").st_uid, 33u);
  EXPECT_EQ(Stat("volume").st_mode & 07777, 02750u);
  EXPECT_EQ(Stat("volume/dir/file").st_gid, 34u);
  EXPECT_EQ(Stat("volume/dir/file").st_mode & 07777, 0640u);
  EXPECT_EQ(Stat("volume/dir").st_mtim.tv_sec, 2000);
  EXPECT_EQ(Stat("volume/dir").st_mtim.tv_nsec, 6);
  EXPECT_EQ(fs::read_symlink(Path("volume/link")), "/etc/passwd");
  EXPECT_EQ(Stat("volume/link").st_uid, 35u);
  EXPECT_TRUE(S_ISFIFO(Stat("volume/fifo").st_mode));
  char value[8];
  EXPECT_EQ(getxattr(Path("volume/other").c_str(), "user.note", value, sizeof value), 2);
  EXPECT_FALSE(fs::exists(Path("volume/.minibox-filling")));
}

TEST_F(LaunchVolume, OthersAreLeftAlone) {
  scratch_.Write("volume/mine", "x");
  EXPECT_EQ(OutputOf(VolumeSpec("ls /srv")), "mine\n");
}

TEST_F(LaunchVolume, WhatTheImageDoesNotHaveLeavesThemEmpty) {
  EXPECT_EQ(OutputOf(VolumeSpec("ls -A /nosuch", "/nosuch")), "");
}

TEST_F(LaunchVolume, ReadOnlyOnesAreFilledToo) {
  LaunchSpec spec = VolumeSpec("cat /srv/other; touch /srv/x");
  spec.mounts.back().attributes |= MOUNT_ATTR_RDONLY;
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.out, "other\n");
  EXPECT_THAT(outcome.err, ::testing::HasSubstr("Read-only file system"));
}

TEST_F(LaunchVolume, HalfFilledOnesAreFilledAnew) {
  scratch_.Write("volume/dir/file", "half");
  scratch_.Write("volume/.minibox-filling/other", "hal");
  EXPECT_EQ(OutputOf(VolumeSpec("cat /srv/dir/file /srv/other; ls -A /srv")),
            "content\nother\ndir\nfifo\nlink\nother\n");
}

TEST_F(LaunchVolume, OfTwoAtOnceEachSeesAllOfIt) {
  for (const char* name : {"upper2", "work2", "run2"}) fs::create_directory(Path(name));
  for (int i = 0; i < 200; ++i) scratch_.Write("layer/srv/many/" + std::to_string(i), "x");
  const core::Fd run2 = OpenDir("run2");
  std::jthread second([&] {
    LaunchSpec spec = VolumeSpec("[ $(ls /srv/many | wc -l) = 200 ]");
    spec.upper = "upper2";
    spec.work = "work2";
    runtime::LaunchFds fds = fds_;
    fds.run_dir = run2.get();
    fds.container_dir = -1;
    auto launched = launcher_->Launch(spec, fds, *cgroup_, false, {});
    ASSERT_TRUE(launched.ok()) << launched.status().ToString();
    EXPECT_EQ(launched->connection.WaitExit().value().code, 0);
  });
  EXPECT_EQ(Run(VolumeSpec("[ $(ls /srv/many | wc -l) = 200 ]")).exit.code, 0);
}

TEST_F(LaunchVolume, HostIdsWorkToo) {
  LaunchSpec spec = VolumeSpec("stat -c %u:%g /srv/dir/file");
  spec.user_namespace = false;
  EXPECT_EQ(OutputOf(spec), "33:34\n");
}

}  // namespace
}  // namespace minibox::init
