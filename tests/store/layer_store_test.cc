// SPDX-License-Identifier: Apache-2.0
#include "store/layer_store.h"

#include <sys/stat.h>

#include <thread>

#include "archive/compression.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class LayerStoreTest : public StoreFixture {
 protected:
  static std::string Compressed(archive::Compression format, const std::string& bytes) {
    std::string out;
    auto compressor = *archive::Compressor::Create(format, [&](std::string_view part) {
      out += part;
      return Status();
    });
    EXPECT_TRUE(compressor->Write(bytes).ok());
    EXPECT_TRUE(compressor->Finish().ok());
    return out;
  }
  std::vector<std::string> Trees() const { return *dir().List("extracted"); }

  const std::string tar_ = testing::TarBuilder().Dir("d").File("d/f", "text").Take();
  const Digest diff_id_ = oci::DigestOf(tar_);
  LayerStore layers_{root_, blobs_};
};

TEST_F(LayerStoreTest, UnpacksEveryCompressionIntoOneTree) {
  for (const auto format : {archive::Compression::kGzip, archive::Compression::kZstd}) {
    const Digest blob = *blobs_.Put(Compressed(format, tar_));
    EXPECT_EQ(*layers_.EnsureUnpacked(blob, diff_id_), diff_id_);
  }
  EXPECT_EQ(*layers_.EnsureUnpacked(*blobs_.Put(tar_), diff_id_), diff_id_);
  EXPECT_TRUE(layers_.Exists(diff_id_));
  EXPECT_EQ(*dir().ReadFile(LayerStore::Path(diff_id_) + "/d/f", 10), "text");
  EXPECT_THAT(Trees(), ElementsAre(diff_id_.hex()));
  EXPECT_EQ(dir().Stat(LayerStore::Path(diff_id_))->st_mode & 07777, 0755u);
  ExpectNothingInTmp();
}

TEST_F(LayerStoreTest, ExistingTreeNeedsNoBlob) {
  ASSERT_TRUE(layers_.EnsureUnpacked(*blobs_.Put(tar_), diff_id_).ok());
  EXPECT_TRUE(layers_.EnsureUnpacked(oci::DigestOf("no such blob"), diff_id_).ok());
}

TEST_F(LayerStoreTest, WrongDiffIdLeavesNothing) {
  const Status status = layers_.EnsureUnpacked(*blobs_.Put(tar_), oci::DigestOf("other")).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_THAT(Trees(), IsEmpty());
  ExpectNothingInTmp();
}

TEST_F(LayerStoreTest, DiffIdOfTheCompressedBlobIsAccepted) {
  const Digest blob = *blobs_.Put(Compressed(archive::Compression::kGzip, tar_));
  EXPECT_EQ(*layers_.EnsureUnpacked(blob, blob), diff_id_);
  EXPECT_EQ(*layers_.EnsureUnpacked(blob, blob), diff_id_);
  EXPECT_THAT(Trees(), ElementsAre(diff_id_.hex()));
  EXPECT_FALSE(layers_.Exists(blob));
}

TEST_F(LayerStoreTest, HostileLayerIsRefusedAndLeavesNothing) {
  const std::string tar = testing::TarBuilder().File("good", "x").File("../../escaped", "x").Take();
  const Status status = layers_.EnsureUnpacked(*blobs_.Put(tar), oci::DigestOf(tar)).status();
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(status.reason(), "invalid_archive");
  EXPECT_THAT(status.message(), HasSubstr(oci::DigestOf(tar).hex().substr(0, 12)));
  EXPECT_THAT(Trees(), IsEmpty());
  EXPECT_FALSE(dir().Exists("escaped"));
  ExpectNothingInTmp();
}

TEST_F(LayerStoreTest, MissingBlobIsNotFound) {
  EXPECT_EQ(layers_.EnsureUnpacked(oci::DigestOf("a"), oci::DigestOf("b")).status().reason(),
            "blob_not_found");
  EXPECT_EQ(layers_.EnsureUnpacked(oci::DigestOf("a"), oci::DigestOf("a")).status().reason(),
            "blob_not_found");
}

TEST_F(LayerStoreTest, StoppedUnpackingLeavesNothing) {
  std::stop_source stop;
  stop.request_stop();
  const Digest blob = *blobs_.Put(tar_);
  EXPECT_EQ(layers_.EnsureUnpacked(blob, diff_id_, stop.get_token()).status().code(),
            StatusCode::kCancelled);
  EXPECT_THAT(Trees(), IsEmpty());
  ExpectNothingInTmp();
}

TEST_F(LayerStoreTest, ConcurrentCallersShareOneUnpacking) {
  testing::TarBuilder builder;
  for (int i = 0; i < 300; ++i) builder.File(core::StrCat("f", i), std::string(1000, 'x'));
  const std::string tar = builder.Take();
  const Digest blob = *blobs_.Put(tar);
  // Each unpacking passes the failpoint "layer.apply" once, and those of publication.
  core::SetFailNth(0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      const auto root = *DataRoot::Open(RootPath(), false);
      const LayerStore own(root, BlobStore(root));
      EXPECT_TRUE(own.EnsureUnpacked(blob, oci::DigestOf(tar)).ok());
    });
  }
  for (auto& thread : threads) thread.join();
  const int shared = core::FailpointsPassed();
  ASSERT_TRUE(dir().RemoveAll("extracted").ok());
  core::SetFailNth(0);
  const auto root = *DataRoot::Open(RootPath(), false);
  const int opening = core::FailpointsPassed();
  ASSERT_TRUE(LayerStore(root, BlobStore(root)).EnsureUnpacked(blob, oci::DigestOf(tar)).ok());
  const int alone = core::FailpointsPassed() - opening;
  core::ClearFailpoints();
  EXPECT_EQ(shared, alone + 6 * opening);
}

TEST_F(LayerStoreTest, FailureAtAnyStepLeavesNothingOrTheWholeTree) {
  const Digest blob = *blobs_.Put(tar_);
  const int failures =
      FailEachStep([&] { return layers_.EnsureUnpacked(blob, diff_id_).status(); },
                   [&] {
                     if (layers_.Exists(diff_id_)) {
                       EXPECT_EQ(*dir().ReadFile(LayerStore::Path(diff_id_) + "/d/f", 10), "text");
                     }
                   });
  EXPECT_GE(failures, 4);
}

TEST_F(LayerStoreTest, PublishingWhatExistsKeepsTheFirst) {
  for (const char* content : {"first", "second"}) {
    const OperationDir operation = *root_->NewOperation("test");
    scratch_.Write(core::StrCat("root/", operation.path(), "/t/f"), content);
    ASSERT_TRUE(layers_.Publish(diff_id_, operation, "t").ok());
  }
  EXPECT_EQ(*dir().ReadFile(LayerStore::Path(diff_id_) + "/f", 10), "first");
  ExpectNothingInTmp();
}

}  // namespace
}  // namespace minibox::store
