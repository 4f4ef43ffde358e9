// SPDX-License-Identifier: Apache-2.0
// Hosts that lack what is usually there. What the kernel lacks is tested by denying system calls
// (CMakeLists.txt) and on an older kernel (tests/vm).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "runtime/runtime_fixture.h"
#include "support/memory_disk.h"

namespace minibox::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// A data root whose file system cannot be seen through an id map.
class WithoutIdMaps : public RuntimeTest {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    disk_.emplace(scratch_ / "data", "", "ramfs");
    ASSERT_TRUE(disk_->mounted());
    RuntimeTest::SetUp();
  }
  void TearDown() override {
    RuntimeTest::TearDown();
    disk_.reset();
  }

  std::optional<MemoryDisk> disk_;
};

TEST_F(WithoutIdMaps, AContainerHasTheHostsIdsAndAWarning) {
  const Output output =
      RunShell(Shell("cat /proc/self/uid_map; stat -c %u /data/seed; echo new > /data/new; "
                     "rm /data/seed; ls /data"));
  EXPECT_THAT(output.out, HasSubstr("         0          0 4294967295\n0\nnew\n"));
  const auto info = runtime().Inspect(output.id);
  ASSERT_TRUE(info.ok());
  EXPECT_THAT(info->warnings, Contains(HasSubstr("cannot be mounted through an id map")));
}

}  // namespace
}  // namespace minibox::testing
