// SPDX-License-Identifier: Apache-2.0
#include "daemon_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "support/scratch.h"

namespace miniboxd {
namespace {

class DaemonLockTest : public ::testing::Test {
 protected:
  // As another process has it.
  int Hold() {
    const int fd = open((root_ + "/daemon.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    EXPECT_EQ(flock(fd, LOCK_EX), 0);
    EXPECT_EQ(write(fd, "4242\n", 5), 5);
    return fd;
  }
  minibox::testing::Scratch scratch_;
  const std::string root_ = scratch_.path();
};

TEST_F(DaemonLockTest, OneAtATime) {
  const int holder = Hold();
  const auto refused = DaemonLock::Take(root_);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().reason(), "daemon_running");
  EXPECT_NE(refused.status().message().find("(pid 4242)"), std::string::npos);
  close(holder);
  EXPECT_TRUE(DaemonLock::Take(root_).ok());
  EXPECT_TRUE(DaemonLock::Take(root_).ok());  // the one before has let it go
}

TEST_F(DaemonLockTest, WaitsForWhatOutlivesAKilledDaemonForAMoment) {
  const int holder = Hold();
  std::thread child([holder] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    close(holder);
  });
  EXPECT_TRUE(DaemonLock::Take(root_).ok());
  child.join();
}

}  // namespace
}  // namespace miniboxd
