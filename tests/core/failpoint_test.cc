// SPDX-License-Identifier: Apache-2.0
#include "core/failpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace minibox::core {
namespace {

Status ThreeSteps(int& done) {
  MBX_FAILPOINT("one");
  done = 1;
  MBX_FAILPOINT("two");
  done = 2;
  MBX_FAILPOINT("three");
  done = 3;
  return Status();
}

TEST(Failpoint, FailsExactlyTheNth) {
  for (int n = 1; n <= 3; ++n) {
    int done = 0;
    SetFailNth(n);
    const Status status = ThreeSteps(done);
    EXPECT_EQ(status.reason(), "failpoint");
    EXPECT_EQ(done, n - 1);
  }
  int done = 0;
  SetFailNth(4);
  EXPECT_TRUE(ThreeSteps(done).ok());
  EXPECT_EQ(FailpointsPassed(), 3);
  ClearFailpoints();
}

TEST(FailpointDeathTest, KillsAtTheNth) {
  EXPECT_EXIT(
      {
        SetKillNth(2);
        int done = 0;
        (void)ThreeSteps(done);
        _exit(done);
      },
      ::testing::KilledBySignal(SIGKILL), "");
}

TEST(Failpoint, IsSilentWhenNothingIsSet) {
  int done = 0;
  EXPECT_TRUE(ThreeSteps(done).ok());
  EXPECT_EQ(FailpointsPassed(), 0);
}

}  // namespace
}  // namespace minibox::core
