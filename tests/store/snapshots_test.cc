// SPDX-License-Identifier: Apache-2.0
#include "store/snapshots.h"

#include <cerrno>
#include <thread>

#include "store/differences.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class SnapshotsTest : public StoreFixture {
 protected:
  static std::string Key(std::string_view mark) { return std::string(oci::DigestOf(mark).hex()); }

  Status Publish(const std::string& key, const std::string& content,
                 const SnapshotRecord& record = {}) {
    auto operation = root_->NewOperation("test");
    if (!operation.ok()) return operation.status();
    scratch_.Write(core::StrCat("root/", operation->path(), "/tree/f"), content);
    return snapshots_.Publish(key, *operation, "tree", record);
  }
  std::string Content(const std::string& key) const {
    return *dir().ReadFile(Snapshots::Path(key) + "/f", 100);
  }

  Snapshots snapshots_{root_};
  const std::string key_ = Key("k");
};

TEST_F(SnapshotsTest, RoundTripsItsRecord) {
  EXPECT_EQ(*snapshots_.Find(key_), std::nullopt);
  const SnapshotRecord record{.parent = Key("p"),
                              .instruction = "RUN echo \"x\"",
                              .empty = true,
                              .created = 1'700'000'000,
                              .size_bytes = 1u << 31,
                              .results = {{"blob", "sha256:x"}}};
  ASSERT_TRUE(Publish(key_, "text", record).ok());
  const auto found = *snapshots_.Find(key_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->parent, record.parent);
  EXPECT_EQ(found->instruction, record.instruction);
  EXPECT_EQ(found->empty, record.empty);
  EXPECT_EQ(found->created, record.created);
  EXPECT_EQ(found->size_bytes, record.size_bytes);
  EXPECT_EQ(found->results, record.results);
  EXPECT_EQ(Content(key_), "text");
  ExpectNothingInTmp();
}

TEST_F(SnapshotsTest, DifferencesNeedWhatTheyLieOver) {
  const std::string middle = Key("middle"), top = Key("top");
  const auto over = [&](const std::string& parent) {
    return SnapshotRecord{.parent = parent, .results = {{kOverResult, *InodeOf(*root_, parent)}}};
  };
  ASSERT_TRUE(Publish(key_, "bottom").ok());
  ASSERT_TRUE(Publish(middle, "m", over(key_)).ok());
  ASSERT_TRUE(Publish(top, "t", over(middle)).ok());
  EXPECT_TRUE((*snapshots_.Find(top)).has_value());
  EXPECT_THAT(*TreesOf(snapshots_, top), ElementsAre(key_, middle, top));
  EXPECT_THAT(*TreesOf(snapshots_, key_), ElementsAre(key_));
  // Another tree in its place, with the old one kept so that its inode is not given again.
  ASSERT_EQ(renameat(dir().fd(), Snapshots::Path(key_).c_str(), dir().fd(), "tmp/key-aside"), 0);
  ASSERT_TRUE(Publish(key_, "other").ok());
  EXPECT_EQ(TreesOf(snapshots_, top).status().reason(), "snapshot_not_found");
  EXPECT_EQ(*snapshots_.Find(top), std::nullopt);
  EXPECT_FALSE(dir().Exists(Snapshots::Path(top)));
  EXPECT_EQ(*snapshots_.Find(middle), std::nullopt);
  EXPECT_EQ(Content(key_), "other");
  EXPECT_EQ(InodeOf(*root_, top).status().sys_errno(), ENOENT);
}

TEST_F(SnapshotsTest, RingsOfDifferencesAreNoHit) {
  const std::string other = Key("other");
  ASSERT_TRUE(Publish(key_, "a").ok());
  ASSERT_TRUE(
      Publish(other, "b", {.parent = key_, .results = {{kOverResult, *InodeOf(*root_, key_)}}})
          .ok());
  const SnapshotRecord ring{.parent = other, .results = {{kOverResult, *InodeOf(*root_, other)}}};
  ASSERT_TRUE(snapshots_.UpdateRecord(key_, ring).ok());
  EXPECT_FALSE(TreesOf(snapshots_, key_).ok());
  EXPECT_EQ(*snapshots_.Find(key_), std::nullopt);
  EXPECT_EQ(*snapshots_.Find(other), std::nullopt);
}

TEST_F(SnapshotsTest, FirstPublicationWins) {
  ASSERT_TRUE(Publish(key_, "first", {.instruction = "one"}).ok());
  ASSERT_TRUE(Publish(key_, "second", {.instruction = "two"}).ok());
  EXPECT_EQ(Content(key_), "first");
  EXPECT_EQ((*snapshots_.Find(key_))->instruction, "one");
  ExpectNothingInTmp();
}

TEST_F(SnapshotsTest, HalfASnapshotIsNoneAndIsRemoved) {
  const auto expect_removed = [&] {
    EXPECT_EQ(*snapshots_.Find(key_), std::nullopt);
    EXPECT_THAT(*dir().List("layers"), IsEmpty());
    ExpectNothingInTmp();
  };
  scratch_.Write(core::StrCat("root/layers/", key_, "/f"), "x");
  expect_removed();
  scratch_.Write(core::StrCat("root/layers/", key_, ".json"), "{}");
  expect_removed();
  for (const char* record : {"", "{", "[]", R"({"parent":""})"}) {
    scratch_.Write(core::StrCat("root/layers/", key_, "/f"), "x");
    scratch_.Write(core::StrCat("root/layers/", key_, ".json"), record);
    expect_removed();
  }
  // And does not stand in the way of a whole one.
  scratch_.Write(core::StrCat("root/layers/", key_, "/f"), "half");
  ASSERT_TRUE(Publish(key_, "whole").ok());
  EXPECT_EQ(Content(key_), "whole");
}

TEST_F(SnapshotsTest, UpdateKeepsTheTree) {
  EXPECT_EQ(snapshots_.UpdateRecord(key_, {}).code(), StatusCode::kNotFound);
  ASSERT_TRUE(Publish(key_, "text").ok());
  ASSERT_TRUE(snapshots_.UpdateRecord(key_, {.results = {{"diff_id", "x"}}}).ok());
  EXPECT_EQ((*snapshots_.Find(key_))->results.at("diff_id"), "x");
  EXPECT_EQ(Content(key_), "text");
}

TEST_F(SnapshotsTest, RemoveTakesBoth) {
  ASSERT_TRUE(Publish(key_, "text").ok());
  ASSERT_TRUE(Publish(Key("other"), "text").ok());
  ASSERT_TRUE(snapshots_.Remove(key_).ok());
  ASSERT_TRUE(snapshots_.Remove(key_).ok());
  EXPECT_THAT(*dir().List("layers"), ElementsAre(Key("other"), Key("other") + ".json"));
  ExpectNothingInTmp();
}

TEST_F(SnapshotsTest, OnlyKeysAreNames) {
  const std::string upper(64, 'G');
  for (const std::string_view name :
       {std::string_view(""), std::string_view(".."), std::string_view("abc"),
        std::string_view("../index.json"), std::string_view(upper)}) {
    const std::string key(name);
    EXPECT_FALSE(snapshots_.Find(key).ok()) << key;
    EXPECT_FALSE(snapshots_.Remove(key).ok()) << key;
    EXPECT_FALSE(Publish(key, "x").ok()) << key;
  }
}

TEST_F(SnapshotsTest, FailureAtAnyStepLeavesNoSnapshot) {
  const int failures = FailEachStep([&] { return Publish(key_, "text"); },
                                    [&] { EXPECT_EQ(*snapshots_.Find(key_), std::nullopt); });
  EXPECT_GE(failures, 6);
  EXPECT_EQ(Content(key_), "text");
}

TEST_F(SnapshotsTest, FindersNeverTakeAPublicationForRubbish) {
  for (int round = 0; round < 30; ++round) {
    const std::string key = Key(core::StrCat(round));
    std::atomic<bool> done = false;
    std::thread finder([&] {
      const Snapshots own(*DataRoot::Open(RootPath(), false));
      while (!done) EXPECT_TRUE(own.Find(key).ok());
    });
    EXPECT_TRUE(Publish(key, "text").ok());
    done = true;
    finder.join();
    ASSERT_TRUE(*snapshots_.Find(key));
    EXPECT_EQ(Content(key), "text");
  }
}

}  // namespace
}  // namespace minibox::store
