// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <thread>

#include "core/file.h"
#include "core/root_dir.h"
#include "support/scratch.h"

namespace minibox::core {
namespace {

TEST(FileRoot, AFullDiskLeavesTheOldContent) {
  MBX_REQUIRE_ROOT();
  testing::Scratch scratch;
  ASSERT_EQ(mkdir((scratch / "small").c_str(), 0755), 0);
  std::thread thread([&] {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(mount("tmpfs", (scratch / "small").c_str(), "tmpfs", 0, "size=64k"), 0);
    const RootDir dir = *RootDir::Open(scratch / "small");
    ASSERT_TRUE(ReplaceFileAt(dir.fd(), "f", "old").ok());
    const Status status = ReplaceFileAt(dir.fd(), "f", std::string(1 << 20, 'x'));
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(status.reason(), "no_space");
    EXPECT_EQ(*dir.ReadFile("f", 10), "old");
    EXPECT_THAT(*dir.List(""), ::testing::ElementsAre("f"));
  });
  thread.join();
}

}  // namespace
}  // namespace minibox::core
