// SPDX-License-Identifier: Apache-2.0
#include "runtime/container_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "support/scratch.h"

namespace minibox::runtime {
namespace {

class ContainerDirTest : public ::testing::Test {
 protected:
  ContainerDirTest() {
    auto root = store::DataRoot::Open(scratch_ / "data", true);
    EXPECT_TRUE(root.ok()) << root.status().ToString();
    root_ = *root;
    config_.spec.image = "busybox";
    config_.spec.command = {"true"};
    config_.image_digest = "sha256:x";
    record_.info.image = "busybox";
  }
  ContainerDir::Created Create() {
    auto created = ContainerDir::Create(*root_, config_, record_);
    EXPECT_TRUE(created.ok()) << created.status().ToString();
    return std::move(*created);
  }

  minibox::testing::Scratch scratch_;
  std::shared_ptr<store::DataRoot> root_;
  const ContainerId id_ = *ContainerId::Parse("0a1b2c3d");
  ContainerConfig config_;
  ContainerRecord record_{id_};
};

TEST_F(ContainerDirTest, AppearsWholeAndLocked) {
  {
    const auto created = Create();
    const auto again = ContainerDir::Open(*root_, id_);
    ASSERT_TRUE(again.ok());
    EXPECT_FALSE(again->TryLock(*root_)->has_value());
    EXPECT_EQ(again->ReadRecord()->info.image, "busybox");
    EXPECT_EQ(again->ReadConfig()->spec.command.front(), "true");
    for (const char* name : {"upper", "work", "rootfs"}) EXPECT_TRUE(again->dir().Exists(name));
  }
  EXPECT_TRUE(ContainerDir::Open(*root_, id_)->TryLock(*root_)->has_value());
  struct stat st;
  ASSERT_EQ(stat((scratch_ / "data/containers/0a1b2c3d").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
  EXPECT_EQ(ContainerDir::List(*root_)->size(), 1u);
}

TEST_F(ContainerDirTest, AnIdThatIsTakenIsRefused) {
  const auto created = Create();
  EXPECT_EQ(ContainerDir::Create(*root_, config_, record_).status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(ContainerDirTest, RecordsAreReplaced) {
  const auto created = Create();
  record_.info.state = ContainerState::kExited;
  ASSERT_TRUE(created.dir.WriteRecord(record_).ok());
  EXPECT_EQ(created.dir.ReadRecord()->info.state, ContainerState::kExited);
}

TEST_F(ContainerDirTest, UnknownContainerIsNotFound) {
  EXPECT_EQ(ContainerDir::Open(*root_, id_).status().reason(), "container_not_found");
}

TEST_F(ContainerDirTest, WaitersOfARemovedContainerLearnThatItIsGone) {
  auto created = std::make_optional(Create());
  const auto waiter_dir = ContainerDir::Open(*root_, id_);
  ASSERT_TRUE(waiter_dir.ok());
  std::thread waiter(
      [&] { EXPECT_EQ(waiter_dir->Lock(*root_).status().reason(), "container_not_found"); });
  {
    auto operation = root_->NewOperation("remove");
    ASSERT_TRUE(operation.ok());
    ASSERT_TRUE(created->dir.MoveInto(*root_, *operation).ok());
  }
  created.reset();
  waiter.join();
  EXPECT_EQ(waiter_dir->CheckInPlace(*root_).reason(), "container_not_found");
  EXPECT_TRUE(ContainerDir::List(*root_)->empty());
}

TEST_F(ContainerDirTest, DamagedRecordIsDataLossAndCanBeSetAside) {
  const auto created = Create();
  scratch_.Write("data/containers/0a1b2c3d/state.json", "{");
  EXPECT_EQ(created.dir.ReadRecord().status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(created.dir.SetAside("state.json").ok());
  EXPECT_TRUE(created.dir.dir().Exists("state.json.corrupt"));
  EXPECT_EQ(created.dir.ReadRecord().status().reason(), "container_not_found");
}

TEST_F(ContainerDirTest, ExitIsReadOnceItIsThere) {
  const auto created = Create();
  EXPECT_FALSE(created.dir.ReadExit()->has_value());
  scratch_.Write("data/containers/0a1b2c3d/exit.json",
                 R"({"exit_code":137,"signal":9,"oom_killed":true,"error":"timeout",)"
                 R"("finished_at":"2026-01-02T03:04:05.678901234Z"})");
  const auto exit = created.dir.ReadExit();
  ASSERT_TRUE(exit.ok()) << exit.status().ToString();
  EXPECT_EQ((*exit)->code, 137);
  EXPECT_EQ((*exit)->signal, 9);
  EXPECT_TRUE((*exit)->oom_killed);
  EXPECT_EQ((*exit)->error, "timeout");
  ASSERT_TRUE(created.dir.ClearExit().ok());
  ASSERT_TRUE(created.dir.ClearExit().ok());
  EXPECT_FALSE(created.dir.ReadExit()->has_value());
}

TEST_F(ContainerDirTest, GeneratedFilesKeepTheirInode) {
  const auto created = Create();
  ASSERT_TRUE(created.dir.WriteGenerated("hosts", "long text\n").ok());
  const auto before = created.dir.dir().Stat("hosts");
  ASSERT_TRUE(created.dir.WriteGenerated("hosts", "short\n").ok());
  EXPECT_EQ(*created.dir.dir().ReadFile("hosts", 100), "short\n");
  EXPECT_EQ(created.dir.dir().Stat("hosts")->st_ino, before->st_ino);
  EXPECT_EQ(before->st_mode & 07777, 0644u);
}

}  // namespace
}  // namespace minibox::runtime
