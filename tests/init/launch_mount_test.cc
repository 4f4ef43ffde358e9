// SPDX-License-Identifier: Apache-2.0
// The root and the mounts of the request.
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "launch_fixture.h"

namespace minibox::init {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class LaunchMount : public LaunchTest {
 protected:
  // Binds `source`, of the data root, on `target`.
  MountOp Bind(std::string_view source, std::string target) {
    opened_.emplace_back(open(Path(source).c_str(), O_PATH | O_CLOEXEC));
    EXPECT_TRUE(opened_.back().valid()) << source;
    fds_.binds.push_back(opened_.back().get());
    MountOp mount;
    mount.target = std::move(target);
    mount.fd_index = static_cast<int>(fds_.binds.size()) - 1;
    mount.recursive = true;
    mount.id_mapped = true;
    mount.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    return mount;
  }
  std::vector<core::Fd> opened_;
};

TEST_F(LaunchMount, BindsCarryTheContainersIds) {
  scratch_.Write("data/file", "hello\n");
  ASSERT_EQ(chown(Path("data/file").c_str(), 33, 34), 0);
  LaunchSpec spec =
      Script("cat /mnt/deep/file; stat -c %u:%g /mnt/deep/file; echo new > /mnt/deep/new");
  spec.mounts.push_back(Bind("data", "/mnt/deep"));
  EXPECT_EQ(OutputOf(spec), "hello\n33:34\n");
  struct stat status;
  ASSERT_EQ(stat(Path("data/new").c_str(), &status), 0);
  EXPECT_EQ(status.st_uid, 0u);
  EXPECT_TRUE(fs::is_directory(Path("upper/mnt/deep")));
}

TEST_F(LaunchMount, FilesAreBoundOnFiles) {
  scratch_.Write("hosts", "127.0.0.1 me\n");
  LaunchSpec spec = Script("cat /etc/hosts; echo more >> /etc/hosts");
  spec.mounts.push_back(Bind("hosts", "/etc/hosts"));
  EXPECT_EQ(OutputOf(spec), "127.0.0.1 me\n");
  EXPECT_THAT(testing::ReadWholeFile(Path("hosts")), HasSubstr("more"));
  EXPECT_EQ(fs::file_size(Path("upper/etc/hosts")), 0u);
}

TEST_F(LaunchMount, ReadOnlyBindsAreReadOnly) {
  fs::create_directory(Path("data"));
  LaunchSpec spec = Script("touch /mnt/x");
  spec.mounts.push_back(Bind("data", "/mnt"));
  spec.mounts.back().attributes |= MOUNT_ATTR_RDONLY;
  const Outcome outcome = Run(spec);
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("Read-only"));
}

TEST_F(LaunchMount, ParentsComeBeforeChildren) {
  scratch_.Write("outer/inner/hidden", "");
  scratch_.Write("inner/seen", "");
  LaunchSpec spec = Script("ls /m/inner");
  spec.mounts.push_back(Bind("outer", "/m"));
  spec.mounts.push_back(Bind("inner", "/m/inner"));
  EXPECT_EQ(OutputOf(spec), "seen\n");
}

TEST_F(LaunchMount, MoreBindsThanAMessageCarries) {
  scratch_.Write("data/file", "x");
  LaunchSpec spec = Script("ls /mnt | wc -l; cat /mnt/1/file /mnt/600/file");
  for (int i = 1; i <= 600; ++i) spec.mounts.push_back(Bind("data", "/mnt/" + std::to_string(i)));
  EXPECT_EQ(OutputOf(spec), "600\nxx");
}

TEST_F(LaunchMount, TmpfsHasItsOptions) {
  LaunchSpec spec =
      Script("stat -c %a:%u:%g /scratch; dd if=/dev/zero of=/scratch/big bs=1k count=2000");
  MountOp mount;
  mount.kind = MountOp::Kind::kTmpfs;
  mount.target = "/scratch";
  mount.data = "size=1m,mode=0750,uid=33,gid=34";
  mount.attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  spec.mounts.push_back(mount);
  const Outcome outcome = Run(spec);
  EXPECT_EQ(outcome.out, "750:33:34\n");
  EXPECT_THAT(outcome.err, HasSubstr("No space left"));
}

TEST_F(LaunchMount, TargetsNeverLeaveTheRoot) {
  fs::create_directory(Path("data"));
  const std::string outside = scratch_ / "outside";
  fs::create_directory(outside);
  fs::create_symlink(outside, Path("layer/absolute"));
  fs::create_symlink("../../../../../../../.." + outside, Path("layer/relative"));
  LaunchSpec spec = Script("touch /absolute/x/here /relative/y/here");
  spec.mounts.push_back(Bind("data", "/absolute/x"));
  spec.mounts.push_back(Bind("data", "/relative/y"));
  EXPECT_EQ(Run(spec).exit.code, 0);
  EXPECT_TRUE(fs::is_empty(outside));
  EXPECT_TRUE(fs::is_directory(Path("upper" + outside + "/x")));
  EXPECT_TRUE(fs::exists(Path("data/here")));
}

TEST_F(LaunchMount, KernelFileSystemsAreNotMountedThroughLinks) {
  fs::create_directory(Path("layer/elsewhere"));
  fs::create_symlink("elsewhere", Path("layer/proc"));
  const Status status = FailureOf(Spec({"true"}));
  EXPECT_EQ(status.reason(), "start_failed") << status.ToString();
  EXPECT_THAT(status.message(), HasSubstr("/proc"));
}

TEST_F(LaunchMount, ReadOnlyRootIsReadOnly) {
  fs::create_directory(Path("data"));
  LaunchSpec spec = Script("touch /data/x /dev/shm/y && touch /z");
  spec.mounts.push_back(Bind("data", "/data"));
  spec.read_only_root = true;
  const Outcome outcome = Run(spec);
  EXPECT_NE(outcome.exit.code, 0);
  EXPECT_THAT(outcome.err, HasSubstr("/z: Read-only file system"));
  EXPECT_TRUE(fs::exists(Path("data/x")));
}

TEST_F(LaunchMount, UpperIsALayerDiff) {
  scratch_.Write("layer/gone", "x");
  scratch_.Write("layer/dir/file", "x");
  Run(Script("rm /gone; echo y > /added; mkdir /tmp/d; mv /dir /moved 2>/dev/null; :"));
  struct stat status;
  ASSERT_EQ(lstat(Path("upper/gone").c_str(), &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  EXPECT_EQ(status.st_rdev, 0u);
  EXPECT_EQ(testing::ReadWholeFile(Path("upper/added")), "y\n");
  // It survives: a second run sees what the first has done.
  EXPECT_EQ(Run(Script("[ ! -e /gone ] && cat /added")).out, "y\n");
}

TEST_F(LaunchMount, UpToFiveHundredLayers) {
  LaunchSpec spec = Script("ls /layers | wc -l; cat /layers/top");
  spec.lowers.clear();
  for (int i = 498; i >= 0; --i) {
    const std::string name = "extracted/0123456789abcdef0123456789abcdef-" + std::to_string(i);
    scratch_.Write(name + "/layers/" + std::to_string(i), "");
    scratch_.Write(name + "/layers/top", std::to_string(i) + "\n");
    spec.lowers.push_back(name);
  }
  spec.lowers.push_back("layer");
  EXPECT_EQ(OutputOf(spec), "500\n498\n");
}

TEST_F(LaunchMount, WithoutLayersTheUpperIsTheRoot) {
  fs::remove(Path("upper"));
  fs::rename(Path("layer"), Path("upper"));
  LaunchSpec spec = Script("echo x > /new; cat /new");
  spec.lowers.clear();
  EXPECT_EQ(OutputOf(spec), "x\n");
  EXPECT_TRUE(fs::exists(Path("upper/new")));
}

// As kernels before 6.13, and before 6.5, have to do it.
TEST_F(LaunchMount, RootFromPathsAndFromAString) {
  scratch_.Write("second/file", "second\n");
  ASSERT_EQ(chown(Path("second/file").c_str(), 33, 33), 0);
  for (const auto form : {LaunchSpec::RootForm::kPaths, LaunchSpec::RootForm::kString}) {
    for (const bool user_namespace : {true, false}) {
      fs::remove(Path("upper/new"));
      LaunchSpec spec = Script("cat /file; stat -c %u /file; echo x > /new; stat -c %u /new");
      spec.lowers = {"second", "layer"};
      spec.root_form = form;
      spec.user_namespace = user_namespace;
      EXPECT_EQ(OutputOf(spec), "second\n33\n0\n");
      EXPECT_TRUE(fs::exists(Path("upper/new")));
      EXPECT_EQ(StatusField(OutputOf(Spec({"cat", "/proc/self/status"})), "NoNewPrivs"), "1");
    }
  }
  LaunchSpec spec = Spec({"true"});
  spec.root_form = LaunchSpec::RootForm::kString;
  spec.lowers.assign(500, "extracted/" + std::string(64, 'a'));
  EXPECT_THAT(FailureOf(spec).message(), HasSubstr("too many layers"));
}

TEST_F(LaunchMount, MountsOfTheHostDoNotArriveLater) {
  fs::create_directories(Path("data/sub"));
  const std::string data = Path("data");
  LaunchSpec spec = Script("while [ ! -e /data/go ]; do sleep 0.01; done; ls /data/sub");
  spec.mounts.push_back(Bind("data", "/data"));
  auto launched = Launch(spec);
  ASSERT_TRUE(launched.ok()) << launched.status().ToString();
  ASSERT_EQ(mount("none", (data + "/sub").c_str(), "tmpfs", 0, nullptr), 0);
  std::ofstream(data + "/sub/host-only") << "x";
  std::ofstream(data + "/go") << "x";
  EXPECT_EQ(launched->connection.WaitExit().value().code, 0);
  EXPECT_EQ(ReadLog(), "");
  EXPECT_EQ(umount(((data + "/sub").c_str())), 0);
}

}  // namespace
}  // namespace minibox::init
