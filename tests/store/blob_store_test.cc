// SPDX-License-Identifier: Apache-2.0
#include "store/blob_store.h"

#include <optional>
#include <thread>

#include "core/file.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BlobStoreTest : public StoreFixture {
 protected:
  std::vector<std::string> Blobs() const { return *dir().List("blobs/sha256"); }
};

TEST_F(BlobStoreTest, CommittedBlobsAreThere) {
  BlobWriter writer = *blobs_.NewBlob();
  ASSERT_TRUE(writer.Write("hello ").ok());
  ASSERT_TRUE(writer.Write("world").ok());
  EXPECT_EQ(writer.size(), 11u);
  EXPECT_THAT(Blobs(), IsEmpty());
  const Digest digest = *writer.Commit(oci::DigestOf("hello world"));
  EXPECT_EQ(digest, oci::DigestOf("hello world"));
  EXPECT_TRUE(blobs_.Exists(digest));
  EXPECT_EQ(*blobs_.Size(digest), 11u);
  EXPECT_EQ(*blobs_.Read(digest, 100), "hello world");
  EXPECT_EQ(*core::ReadAll(blobs_.Open(digest)->get(), 100), "hello world");
  EXPECT_EQ(blobs_.Read(digest, 10).status().code(), StatusCode::kResourceExhausted);
}

TEST_F(BlobStoreTest, CommitOfWrongDigestLeavesNothing) {
  {
    BlobWriter writer = *blobs_.NewBlob();
    ASSERT_TRUE(writer.Write("other").ok());
    const Status status = writer.Commit(oci::DigestOf("expected")).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss);
    EXPECT_EQ(status.reason(), "data_loss");
  }
  EXPECT_THAT(Blobs(), IsEmpty());
  ExpectNothingInTmp();
}

TEST_F(BlobStoreTest, AbandonedIngestLeavesNothing) {
  {
    BlobWriter writer = *blobs_.NewBlob();
    ASSERT_TRUE(writer.Write("half").ok());
    const BlobWriter moved(std::move(writer));
  }
  EXPECT_THAT(Blobs(), IsEmpty());
  ExpectNothingInTmp();
}

TEST_F(BlobStoreTest, EmptyBlobIsABlob) { EXPECT_EQ(*blobs_.Size(*blobs_.Put("")), 0u); }

TEST_F(BlobStoreTest, MissingIsNotFound) {
  const Digest digest = oci::DigestOf("none");
  EXPECT_FALSE(blobs_.Exists(digest));
  EXPECT_EQ(blobs_.Open(digest).status().reason(), "blob_not_found");
  EXPECT_EQ(blobs_.Size(digest).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(blobs_.Read(digest, 10).status().reason(), "blob_not_found");
}

TEST_F(BlobStoreTest, ExistingBlobStaysAsItIs) {
  const Digest digest = *blobs_.Put("content");
  const auto before = dir().Stat(core::StrCat("blobs/sha256/", digest.hex()))->st_ino;
  EXPECT_EQ(*blobs_.Put("content"), digest);
  EXPECT_EQ(dir().Stat(core::StrCat("blobs/sha256/", digest.hex()))->st_ino, before);
}

TEST_F(BlobStoreTest, DamageIsFoundAndATruncatedBlobIsReplaced) {
  const Digest digest = *blobs_.Put("content");
  scratch_.Write(core::StrCat("root/blobs/sha256/", digest.hex()), "konten");
  EXPECT_EQ(blobs_.Read(digest, 100).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(*blobs_.Put("content"), digest);
  EXPECT_EQ(*blobs_.Read(digest, 100), "content");
}

TEST_F(BlobStoreTest, LinksAmongBlobsAreNotFollowed) {
  scratch_.Write("secret", "x");
  const Digest digest = oci::DigestOf("x");
  ASSERT_TRUE(dir().Symlink(scratch_ / "secret", core::StrCat("blobs/sha256/", digest.hex())).ok());
  EXPECT_FALSE(blobs_.Exists(digest));
  EXPECT_FALSE(blobs_.Open(digest).ok());
}

TEST_F(BlobStoreTest, FailureAtAnyStepLeavesNothing) {
  const int failures =
      FailEachStep([&] { return blobs_.Put("content").status(); },
                   [&] {
                     // After the rename it is complete; before, not there.
                     for (const std::string& hex : Blobs()) {
                       EXPECT_EQ(*blobs_.Read(oci::DigestFromHex(hex), 100), "content");
                     }
                   });
  EXPECT_GE(failures, 4);
  EXPECT_THAT(Blobs(), ElementsAre(oci::DigestOf("content").hex()));
}

TEST_F(BlobStoreTest, SameBlobFromManyThreads) {
  const std::string content(1 << 20, 'x');
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&] {
      const BlobStore own(*DataRoot::Open(RootPath(), false));
      const auto digest = own.Put(content);
      if (digest.ok() && own.Read(*digest, 2 << 20).ok()) ++good;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 6);
  EXPECT_EQ(Blobs().size(), 1u);
  ExpectNothingInTmp();
}

}  // namespace
}  // namespace minibox::store
