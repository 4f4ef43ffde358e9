// SPDX-License-Identifier: Apache-2.0
// Lists that are remembered, beside others who change the store.
#include "store/image_summaries.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/process.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

class ImageSummariesTest : public StoreFixture {
 protected:
  oci::Descriptor Add(std::string_view mark, const std::vector<ImageRef>& names) {
    const oci::Descriptor entry = PutImage(blobs_, mark);
    EXPECT_TRUE(references_.Register(entry, names).ok());
    return entry;
  }
  // Name and mark of each image that `store` lists.
  static std::vector<std::pair<std::string, std::string>> Listed(const Store& store) {
    std::vector<std::pair<std::string, std::string>> listed;
    const std::vector<ImageInfo> images = *store.ListImages();
    for (const ImageInfo& image : images) {
      const auto mark = image.labels.find("mark");
      listed.emplace_back(image.name, mark == image.labels.end() ? "" : mark->second);
    }
    return listed;
  }
  // Another file of the same size in the blob's place.
  void Replace(const Digest& digest, char with) const {
    const std::string path = core::StrCat("blobs/sha256/", digest.hex());
    const std::string text(*blobs_.Size(digest), with);
    scratch_.Write("other", text);
    ASSERT_EQ(rename((scratch_ / "other").c_str(), (scratch_ / ("root/" + path)).c_str()), 0);
  }
  core::RootDir BlobDir() const { return *dir().OpenDir("blobs/sha256"); }

  Store store_ = *Store::Open({.root = RootPath()});
};

TEST_F(ImageSummariesTest, SecondListIsTheFirst) {
  Add("a", {Ref("a"), Ref("b")});
  Add("n", {});
  const std::vector<ImageInfo> first = *store_.ListImages(), second = *store_.ListImages();
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].name, second[i].name);
    EXPECT_EQ(first[i].reference, second[i].reference);
    EXPECT_EQ(first[i].id, second[i].id);
    EXPECT_EQ(first[i].manifest, second[i].manifest);
    EXPECT_EQ(first[i].size, second[i].size);
    EXPECT_EQ(first[i].created, second[i].created);
    EXPECT_EQ(first[i].labels, second[i].labels);
    EXPECT_EQ(first[i].platform.architecture, second[i].platform.architecture);
  }
}

TEST_F(ImageSummariesTest, ListSeesWhatAnotherStoreChanges) {
  Store other = *Store::Open({.root = RootPath()});
  Add("a", {Ref("a"), Ref("moves")});
  Add("b", {Ref("b")});
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("a", "a"), Pair("b", "b"), Pair("moves", "a")));
  ASSERT_TRUE(other.TagImage("b", "moves").ok());
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("a", "a"), Pair("b", "b"), Pair("moves", "b")));
  ASSERT_TRUE(other.RemoveImage("a").ok());
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("b", "b"), Pair("moves", "b")));
  ASSERT_EQ(other.Prune()->blobs_removed, 3u);
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("b", "b"), Pair("moves", "b")));
  // The same image once more: its blobs are other files.
  Add("a", {Ref("a")});
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("a", "a"), Pair("b", "b"), Pair("moves", "b")));
}

TEST_F(ImageSummariesTest, ListSeesWhatAnotherProcessRegisters) {
  EXPECT_THAT(Listed(store_), IsEmpty());
  for (const std::string prefix : {"x", "y"}) {
    const core::Fd program(open(STORE_TEST_PROCESS, O_PATH | O_CLOEXEC));
    const auto child =
        *core::Spawn({.executable_fd = program.get(),
                      .argv = {"store_test_process", "register", RootPath(), prefix, "1"},
                      .fds = {{2, 2}}});
    ASSERT_EQ(core::WaitPidfd(child.pidfd.get())->code, 0);
    const auto listed = Listed(store_);
    EXPECT_THAT(listed.front(), Pair("shared:0", prefix + "0"));
    EXPECT_THAT(listed.back(), Pair(prefix + ":0", prefix + "0"));
  }
  EXPECT_THAT(Listed(store_),
              ElementsAre(Pair("shared:0", "y0"), Pair("x:0", "x0"), Pair("y:0", "y0")));
}

TEST_F(ImageSummariesTest, WhatIsGoneOrDamagedIsNotListedAnyMore) {
  const oci::Descriptor removed = Add("removed", {Ref("removed")});
  const oci::Descriptor damaged = Add("damaged", {Ref("damaged")});
  const oci::Descriptor config = Add("config", {Ref("config")});
  Add("good", {Ref("good")});
  ASSERT_EQ(Listed(store_).size(), 4u);
  ASSERT_TRUE(dir().Unlink(core::StrCat("blobs/sha256/", removed.digest.hex())).ok());
  Replace(damaged.digest, '{');
  Replace(store_.GetImage("config")->id, ' ');
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("good", "good")));
  PutImage(blobs_, "removed");
  EXPECT_THAT(Listed(store_), ElementsAre(Pair("good", "good"), Pair("removed", "removed")));
}

TEST_F(ImageSummariesTest, UseIsLookedUpEachTime) {
  const oci::Descriptor entry = Add("a", {Ref("a")});
  EXPECT_FALSE(store_.ListImages()->front().in_use);
  const std::string state = core::StrCat(R"({"id":"11111111","status":"exited","image_digest":")",
                                         entry.digest.ToString(), R"("})");
  scratch_.Write("root/containers/11111111/state.json", state);
  EXPECT_TRUE(store_.ListImages()->front().in_use);
  ASSERT_TRUE(dir().RemoveAll("containers/11111111").ok());
  EXPECT_FALSE(store_.ListImages()->front().in_use);
}

TEST_F(ImageSummariesTest, WhatIsKeptIsBounded) {
  ImageSummaries summaries;
  const core::RootDir blobs = BlobDir();
  const oci::Descriptor entry = PutImage(blobs_, "a");
  const Digest config = *blobs_.Put("config");
  const BlobStamp stamp = *StampOf(blobs, entry.digest);
  ImageInfo info{.id = config, .manifest = entry.digest};
  info.labels["large"] = std::string(ImageSummaries::kMaxImageBytes, 'x');
  summaries.Remember(blobs, entry, stamp, info);
  EXPECT_EQ(summaries.size(), 0u);
  EXPECT_FALSE(summaries.Find(blobs, entry).has_value());
  constexpr size_t kLabel = ImageSummaries::kMaxImageBytes / 2;
  info.labels["large"] = std::string(kLabel, 'x');
  for (size_t i = 0; i < 2 * ImageSummaries::kMaxBytes / kLabel; ++i) {
    const oci::Descriptor other{entry.media_type, oci::DigestOf(std::to_string(i)), 1};
    summaries.Remember(blobs, other, stamp, info);
    summaries.Remember(blobs, other, stamp, info);
    EXPECT_LE(summaries.size(), ImageSummaries::kMaxBytes / kLabel);
    EXPECT_GE(summaries.size(), 1u);
  }
  summaries.Remember(blobs, entry, stamp, info);
  EXPECT_EQ(summaries.Find(blobs, entry)->labels, info.labels);
  // Another size in the index means another size of the image.
  oci::Descriptor lies = entry;
  ++lies.size;
  EXPECT_FALSE(summaries.Find(blobs, lies).has_value());
}

TEST_F(ImageSummariesTest, NoStampOfWhatIsNoFile) {
  scratch_.Write("root/blobs/sha256/x", "");
  const Digest digest = oci::DigestOf("link");
  ASSERT_EQ(symlinkat("x", BlobDir().fd(), std::string(digest.hex()).c_str()), 0);
  EXPECT_FALSE(StampOf(BlobDir(), digest).has_value());
  EXPECT_FALSE(StampOf(BlobDir(), oci::DigestOf("none")).has_value());
}

}  // namespace
}  // namespace minibox::store
