// SPDX-License-Identifier: Apache-2.0
// The device filter of both versions, in force.
#include "kernel/device_filter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/process.h"
#include "core/strings.h"
#include "kernel/cgroup_control.h"
#include "kernel/mount.h"
#include "support/scratch.h"

namespace minibox::kernel {
namespace {

using Type = DeviceRule::Type;

TEST(DeviceFilter, RulesAsText) {
  EXPECT_EQ(DeviceRuleText({Type::kCharacter, 1, 3, true, true, true}), "c 1:3 rwm");
  EXPECT_EQ(DeviceRuleText({Type::kBlock, -1, -1, false, false, true}), "b *:* m");
  EXPECT_EQ(DeviceRuleText({Type::kCharacter, 136, -1, true, false, false}), "c 136:* r");
}

// A group of a hierarchy, which a shell joins.
class Group {
 public:
  explicit Group(const std::string& hierarchy)
      : path_(hierarchy + "/mbxtest-devices-" + std::to_string(getpid())) {
    made_ = mkdir(path_.c_str(), 0755) == 0;
    dir_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~Group() {
    if (made_) {
      EXPECT_EQ(rmdir(path_.c_str()), 0) << strerror(errno);
    }
  }
  int dir() const { return dir_.get(); }
  // The exit status of `script` in the group.
  int Run(const std::string& script) const {
    const std::string line =
        "echo $$ > " + path_ + "/cgroup.procs || exit 99; exec 2>/dev/null; " + script;
    const int status = system(line.c_str());
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  std::string path_;
  bool made_ = false;
  core::Fd dir_;
};

std::string Hierarchy(bool v2) {
  const auto mounts = MountsBelow("/sys/fs/cgroup");
  if (!mounts.ok()) return "";
  for (const MountEntry& mount : *mounts) {
    if (v2 && mount.type == "cgroup2") return mount.target;
    if (!v2 && mount.type == "cgroup" &&
        access((mount.target + "/devices.allow").c_str(), F_OK) == 0) {
      return mount.target;
    }
    if (!v2 && mount.type == "cgroup" && mount.target.ends_with("/devices")) return mount.target;
  }
  return "";
}

class DeviceFilterInForce : public ::testing::TestWithParam<bool> {};

TEST_P(DeviceFilterInForce, PermitsWhatItsRulesDoAndNothingElse) {
  MBX_REQUIRE_ROOT();
  const std::string hierarchy = Hierarchy(GetParam());
  if (hierarchy.empty()) GTEST_SKIP() << "no such hierarchy is mounted";
  const Group group(hierarchy);
  EXPECT_EQ(group.Run("head -c 1 /dev/zero >/dev/full"), 1);  // full, not forbidden
  const std::vector<DeviceRule> rules = {
      {Type::kCharacter, 1, 3, true, true, true},     // null
      {Type::kCharacter, 1, 5, true, false, false},   // zero, to be read
      {Type::kCharacter, -1, -1, false, false, true}  // any node may be made
  };
  const Status applied =
      GetParam() ? ApplyDeviceRulesV2(group.dir(), rules) : ApplyDeviceRulesV1(group.dir(), rules);
  ASSERT_TRUE(applied.ok()) << applied.ToString();
  EXPECT_EQ(group.Run("echo x > /dev/null && head -c 1 /dev/zero > /dev/null"), 0);
  EXPECT_NE(group.Run("echo x > /dev/zero"), 0);
  EXPECT_NE(group.Run("head -c 1 /dev/urandom"), 0);
  EXPECT_NE(group.Run("head -c 1 /dev/full > /dev/null"), 0);
  const testing::Scratch scratch;
  const std::string node = scratch / "node";
  EXPECT_EQ(group.Run("mknod " + node + " c 1 8"), 0);
  EXPECT_NE(group.Run("head -c 1 " + node), 0);
  EXPECT_NE(group.Run("mknod " + node + "2 b 7 0"), 0);
}

INSTANTIATE_TEST_SUITE_P(Kernel, DeviceFilterInForce, ::testing::Values(false, true),
                         [](const auto& info) { return info.param ? "V2" : "V1"; });

}  // namespace
}  // namespace minibox::kernel
