// SPDX-License-Identifier: Apache-2.0
#include "core/file_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/process.h"
#include "core/root_dir.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

class FileLockTest : public ::testing::Test {
 protected:
  bool Free() { return FileLock::TryAcquire(dir_.fd(), "l")->has_value(); }
  testing::Scratch scratch_;
  RootDir dir_ = *RootDir::Open(scratch_.path());
};

TEST_F(FileLockTest, ExcludesWithinAProcess) {
  {
    const auto lock = FileLock::Acquire(dir_.fd(), "l");
    ASSERT_TRUE(lock.ok());
    EXPECT_FALSE(Free());
  }
  EXPECT_TRUE(Free());
  EXPECT_EQ(dir_.Stat("l")->st_mode & 0777, 0600u);
}

TEST_F(FileLockTest, ExcludesOtherProcesses) {
  const Fd program(open("/usr/bin/flock", O_PATH | O_CLOEXEC));
  ASSERT_TRUE(program.valid());
  const auto try_elsewhere = [&] {
    auto spawned = Spawn({.executable_fd = program.get(),
                          .argv = {"flock", "-n", scratch_ / "l", "-c", "exit 0"},
                          .env = {"PATH=/bin"}});
    return WaitPidfd(spawned->pidfd.get())->code;
  };
  {
    const auto lock = *FileLock::Acquire(dir_.fd(), "l");
    EXPECT_EQ(try_elsewhere(), 1);
  }
  EXPECT_EQ(try_elsewhere(), 0);
}

TEST_F(FileLockTest, DiesWithItsHolder) {
  const Fd program(open("/usr/bin/flock", O_PATH | O_CLOEXEC));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Fd ready(ends[0]);
  Fd ready_child(ends[1]);
  // Without -o the lock's descriptor is inherited by cat, which would keep it.
  auto holder =
      *Spawn({.executable_fd = program.get(),
              .argv = {"flock", "-F", scratch_ / "l", "/bin/sh", "-c", "echo x; exec sleep 1000"},
              .env = {"PATH=/bin"},
              .fds = {{ready_child.get(), 1}}});
  ready_child.reset();
  char byte = 0;
  ASSERT_EQ(read(ready.get(), &byte, 1), 1);
  EXPECT_FALSE(Free());
  kill(holder.pid, SIGKILL);
  EXPECT_TRUE(FileLock::Acquire(dir_.fd(), "l").ok());
  EXPECT_EQ(WaitPidfd(holder.pidfd.get())->signal, SIGKILL);
}

TEST_F(FileLockTest, CountsCorrectlyUnderContention) {
  int counter = 0;  // guarded by nothing but the lock
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      std::stop_source stop;
      for (int i = 0; i < 50; ++i) {
        // Both ways of waiting, against each other.
        const auto lock = t % 2 == 0 ? FileLock::Acquire(dir_.fd(), "l")
                                     : FileLock::Acquire(dir_.fd(), "l", stop.get_token());
        if (lock.ok()) ++counter;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter, 400);
}

TEST_F(FileLockTest, WaitingCanBeCalledOff) {
  const auto held = *FileLock::Acquire(dir_.fd(), "l");
  std::stop_source stop;
  std::thread stopper([&] { stop.request_stop(); });
  const auto lock = FileLock::Acquire(dir_.fd(), "l", stop.get_token());
  stopper.join();
  EXPECT_EQ(lock.status().code(), StatusCode::kCancelled);
}

TEST_F(FileLockTest, LocksTheFileThatHasTheNameNow) {
  // Holders unlink the file before they release it, as those of per-key locks may.
  std::atomic<int> inside = 0, overlaps = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        const auto lock = FileLock::Acquire(dir_.fd(), "l");
        if (!lock.ok() || inside.fetch_add(1) != 0) ++overlaps;
        --inside;
        (void)unlinkat(dir_.fd(), "l", 0);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(overlaps, 0);
}

TEST_F(FileLockTest, NeverFollowsALink) {
  scratch_.Write("target", "");
  ASSERT_TRUE(dir_.Symlink("target", "l").ok());
  EXPECT_EQ(FileLock::Acquire(dir_.fd(), "l").status().sys_errno(), ELOOP);
}

TEST_F(FileLockTest, MovesItsLock) {
  auto a = *FileLock::Acquire(dir_.fd(), "l");
  FileLock b(std::move(a));
  EXPECT_FALSE(Free());
  EXPECT_GE(b.fd(), 0);
}

}  // namespace
}  // namespace minibox::core
