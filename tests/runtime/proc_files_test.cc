// SPDX-License-Identifier: Apache-2.0
#include "runtime/proc_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "core/file.h"

namespace minibox::runtime {
namespace {

TEST(ProcFiles, StatWithANastyName) {
  const auto stat = ParseProcStat(
      "42 (a) b (c) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 0 0 20 0 1 0 12345 1000000 250 "
      "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0\n");
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->name, "a) b (c");
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 7);
  EXPECT_EQ(stat->cpu_ticks, 33u);
  EXPECT_EQ(stat->start_ticks, 12345u);
  EXPECT_EQ(stat->resident_pages, 250u);
  for (const char* bad : {"", "42", "42 (x", "42 (x) S 1 2", ")("}) {
    EXPECT_FALSE(ParseProcStat(bad).has_value()) << bad;
  }
}

TEST(ProcFiles, StatusOfANamespace) {
  const auto status =
      ParseProcStatus("Name:\tx\nUid:\t0\t100000\t0\t0\nNSpid:\t4711\t17\t3\nThreads:\t1\n");
  ASSERT_TRUE(status.has_value());
  EXPECT_EQ(status->uid, 100000u);
  EXPECT_EQ(status->container_pid, 3);
  EXPECT_FALSE(ParseProcStatus("Name:\tx\n").has_value());
}

TEST(ProcFiles, NetDevWithoutLoopback) {
  const NetCounters net = ParseNetDev(
      "Inter-|   Receive                |  Transmit\n"
      " face |bytes packets errs drop fifo frame compressed multicast|bytes packets errs\n"
      "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
      "  eth0:1000 10 0 0 0 0 0 0 2000 20 0 0 0 0 0 0\n"
      "  eth1: 1 1 0 0 0 0 0 0 2 2 0 0 0 0 0 0\n");
  EXPECT_EQ(net.received, 1001u);
  EXPECT_EQ(net.sent, 2002u);
}

TEST(ProcFiles, ThisProcess) {
  const auto proc = OpenProc(getpid());
  ASSERT_TRUE(proc.ok());
  const auto text = core::ReadFileAt(proc->get(), "stat", 4096);
  ASSERT_TRUE(text.ok());
  const auto stat = ParseProcStat(*text);
  ASSERT_TRUE(stat.has_value());
  EXPECT_EQ(stat->parent, getppid());
  EXPECT_GT(stat->resident_pages, 0u);
}

}  // namespace
}  // namespace minibox::runtime
