// SPDX-License-Identifier: Apache-2.0
#include "runtime/host_facts.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/fd.h"

namespace minibox::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::string_view kMountInfo =
    "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "22 21 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"
    "23 21 0:21 / /mnt/with\\040blank rw master:1 shared:2 - nfs4 host:/x rw\n"
    "24 21 0:22 / /mnt/deep/er rw - tmpfs none rw\n"
    "broken line\n";

TEST(HostFacts, FindsTheTypesOfMountsBelow) {
  EXPECT_THAT(TypesMountedBelow(kMountInfo, "/"), ElementsAre("proc", "nfs4", "tmpfs"));
  EXPECT_THAT(TypesMountedBelow(kMountInfo, "/mnt"), ElementsAre("nfs4", "tmpfs"));
  EXPECT_THAT(TypesMountedBelow(kMountInfo, "/mnt/deep"), ElementsAre("tmpfs"));
  EXPECT_THAT(TypesMountedBelow(kMountInfo, "/mnt/deep/er"), IsEmpty());
  EXPECT_THAT(TypesMountedBelow(kMountInfo, "/mn"), IsEmpty());
}

TEST(HostFacts, ReadsTheHost) {
  const HostFacts host = ReadHostFacts();
  EXPECT_FALSE(host.online_cpus.empty());
  EXPECT_GE(host.nr_open, 1024u);
}

TEST(HostFacts, ProcCannotBeIdMapped) {
  const core::Fd proc(open("/proc", O_PATH | O_CLOEXEC));
  EXPECT_FALSE(IdMapObstacle(proc.get(), false).empty());
  const core::Fd root(open("/", O_PATH | O_CLOEXEC));
  EXPECT_FALSE(IdMapObstacle(root.get(), true).empty()) << "/proc is below";
}

}  // namespace
}  // namespace minibox::runtime
