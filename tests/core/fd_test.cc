// SPDX-License-Identifier: Apache-2.0
#include "core/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace minibox::core {
namespace {

int OpenNull() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(Fd, ClosesAtTheEndOfItsLife) {
  int raw = -1;
  {
    const Fd fd(OpenNull());
    raw = fd.get();
    EXPECT_TRUE(fd.valid());
    EXPECT_TRUE(IsOpen(raw));
  }
  EXPECT_FALSE(IsOpen(raw));
}

TEST(Fd, MoveLeavesNothingBehind) {
  Fd a(OpenNull());
  const int raw = a.get();
  Fd b(std::move(a));
  EXPECT_FALSE(a.valid());  // NOLINT: the state after a move is the point
  EXPECT_EQ(b.get(), raw);
  Fd c(OpenNull());
  const int replaced = c.get();
  c = std::move(b);
  EXPECT_EQ(c.get(), raw);
  EXPECT_FALSE(IsOpen(replaced));
  EXPECT_TRUE(IsOpen(raw));
}

TEST(Fd, SelfMoveKeepsTheDescriptor) {
  Fd a(OpenNull());
  Fd& alias = a;
  a = std::move(alias);
  EXPECT_TRUE(a.valid());
  EXPECT_TRUE(IsOpen(a.get()));
}

TEST(Fd, ReleaseGivesUpOwnership) {
  Fd a(OpenNull());
  const int raw = a.release();
  EXPECT_FALSE(a.valid());
  EXPECT_TRUE(IsOpen(raw));
  close(raw);
}

TEST(Fd, ClosingKeepsErrno) {
  Fd bad(1 << 20);  // not open
  errno = ENOSPC;
  bad.reset();
  EXPECT_EQ(errno, ENOSPC);
}

}  // namespace
}  // namespace minibox::core
