// SPDX-License-Identifier: Apache-2.0
#include "runtime/record_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/container_dir.h"
#include "support/scratch.h"

namespace minibox::runtime {
namespace {

class RecordCacheTest : public ::testing::Test {
 protected:
  RecordCacheTest() {
    auto root = store::DataRoot::Open(scratch_ / "data", true);
    EXPECT_TRUE(root.ok()) << root.status().ToString();
    root_ = *root;
    EXPECT_TRUE(root_->dir().MakeDirs(kContainers, 0700).ok());
    containers_.emplace(*root_->dir().OpenDir(kContainers));
  }
  ContainerDir Create(const ContainerId& id) {
    ContainerRecord record{id};
    record.info.name = "first";
    auto created = ContainerDir::Create(*root_, {}, record);
    EXPECT_TRUE(created.ok()) << created.status().ToString();
    return std::move(created->dir);
  }
  auto Read(const ContainerId& id) { return cache_.Read(*root_, containers_->fd(), id); }
  // Until two reads give the same object.
  std::shared_ptr<const ContainerRecord> AwaitCached(const ContainerId& id) {
    while (true) {
      auto first = Read(id), second = Read(id);
      if (!first.ok() || !second.ok()) return nullptr;
      if (*first == *second) return *first;
      std::this_thread::yield();
    }
  }

  minibox::testing::Scratch scratch_;
  std::shared_ptr<store::DataRoot> root_;
  std::optional<core::RootDir> containers_;
  const ContainerId id_ = *ContainerId::Parse("0a1b2c3d"), other_ = *ContainerId::Parse("0a1b2c3e");
  RecordCache cache_;
};

TEST_F(RecordCacheTest, EveryChangeIsSeenAtOnce) {
  const ContainerDir dir = Create(id_);
  ASSERT_NE(AwaitCached(id_), nullptr);
  // Of the same length, and so fast one after the other that times of files do not tell them apart.
  ContainerRecord record{id_};
  for (int i = 0; i < 100; ++i) {
    record.info.name = std::to_string(1000 + i);
    ASSERT_TRUE(dir.WriteRecord(record).ok());
    const auto read = Read(id_);
    ASSERT_TRUE(read.ok());
    ASSERT_EQ((*read)->info.name, record.info.name);
  }
  EXPECT_EQ(AwaitCached(id_)->info.name, record.info.name);
}

TEST_F(RecordCacheTest, WhatIsGoneOrDamagedIsReported) {
  EXPECT_EQ(Read(id_).status().reason(), "container_not_found");
  const ContainerDir dir = Create(id_);
  ASSERT_NE(AwaitCached(id_), nullptr);
  scratch_.Write("data/containers/0a1b2c3d/state.json", "{\"half");
  EXPECT_EQ(Read(id_).status().code(), StatusCode::kDataLoss);
  ASSERT_TRUE(dir.dir().Unlink("state.json").ok());
  EXPECT_EQ(Read(id_).status().reason(), "container_not_found");
}

TEST_F(RecordCacheTest, ForgetsWhatIsNotKept) {
  Create(id_);
  Create(other_);
  const auto kept = AwaitCached(id_), forgotten = AwaitCached(other_);
  cache_.Keep({id_});
  EXPECT_EQ(*Read(id_), kept);
  EXPECT_NE(*Read(other_), forgotten);
}

TEST_F(RecordCacheTest, KnowsWhetherAnExitWasRecorded) {
  const ContainerDir dir = Create(id_);
  EXPECT_FALSE(RecordCache::HasExit(containers_->fd(), id_));
  scratch_.Write("data/containers/0a1b2c3d/exit.json", "{}");
  EXPECT_TRUE(RecordCache::HasExit(containers_->fd(), id_));
}

}  // namespace
}  // namespace minibox::runtime
