// SPDX-License-Identifier: Apache-2.0
#include "runtime/monitor_identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process.h"

namespace minibox::runtime {
namespace {

TEST(MonitorIdentity, IsAliveOnlyWithItsStartTime) {
  MonitorIdentity us{getpid(), *core::ProcessStartTime(getpid())};
  EXPECT_TRUE(IsAlive(us));
  ++us.start_time;
  EXPECT_FALSE(IsAlive(us));
  EXPECT_FALSE(IsAlive({-1, 0}));
  EXPECT_FALSE(IsAlive({0, 0}));
}

TEST(MonitorIdentity, OneThatHasEndedIsNotAliveAndIsReaped) {
  core::SpawnOptions options;
  options.argv = {"/bin/true"};
  options.executable_fd = open("/bin/true", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(options.executable_fd, 0);
  auto child = core::Spawn(options);
  close(options.executable_fd);
  ASSERT_TRUE(child.ok()) << child.status().ToString();
  const MonitorIdentity monitor{child->pid, *core::ProcessStartTime(child->pid)};
  siginfo_t info = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child->pid), &info, WEXITED | WNOWAIT | __WALL), 0);
  EXPECT_FALSE(IsAlive(monitor));
  ReapOwnChild(monitor);
  EXPECT_NE(kill(child->pid, 0), 0);
  ReapOwnChild(monitor);
}

TEST(MonitorIdentity, OthersAreNotReaped) {
  ReapOwnChild({1, *core::ProcessStartTime(1)});
  ReapOwnChild({getpid(), *core::ProcessStartTime(getpid())});
}

}  // namespace
}  // namespace minibox::runtime
