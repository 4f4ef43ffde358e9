// SPDX-License-Identifier: Apache-2.0
#include "store/partial_blobs.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <ctime>
#include <thread>

#include "store_fixture.h"

namespace minibox::store {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PartialBlobsTest : public StoreFixture {
 protected:
  // Makes the file look as if nobody had touched it for that long.
  void Age(const Digest& digest, seconds age) {
    const timespec then{std::time(nullptr) - age.count(), 0};
    const timespec times[2] = {then, then};
    const std::string path = core::StrCat("partial/", digest.hex());
    ASSERT_EQ(utimensat(dir().fd(), path.c_str(), times, 0), 0);
  }

  PartialBlobs partial_{root_};
  const std::string content_ = "the whole content";
  const Digest digest_ = oci::DigestOf(content_);
};

TEST_F(PartialBlobsTest, WhatWasFetchedIsThereForTheNextAttempt) {
  {
    auto blob = partial_.Open(digest_);
    ASSERT_TRUE(blob.ok()) << blob.status().message();
    EXPECT_EQ(blob->size(), 0u);
    ASSERT_TRUE(blob->Append("the whole").ok());
  }
  auto blob = partial_.Open(digest_);
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(blob->size(), 9u);
  ASSERT_TRUE(blob->Append(" content").ok());
  ASSERT_TRUE(blob->Commit().ok());
  EXPECT_EQ(*blobs_.Read(digest_, 100), content_);
  EXPECT_THAT(ListDir("partial"), IsEmpty());
}

TEST_F(PartialBlobsTest, WrongBytesLeaveNothing) {
  auto blob = partial_.Open(digest_);
  ASSERT_TRUE(blob->Append("something else").ok());
  const Status status = blob->Commit();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find(digest_.ToString()), std::string::npos);
  EXPECT_THAT(ListDir("partial"), IsEmpty());
  EXPECT_THAT(ListDir("blobs/sha256"), IsEmpty());
}

TEST_F(PartialBlobsTest, ResetForgetsTheBytes) {
  auto blob = partial_.Open(digest_);
  ASSERT_TRUE(blob->Append("wrong").ok());
  ASSERT_TRUE(blob->Reset().ok());
  ASSERT_TRUE(blob->Append(content_).ok());
  EXPECT_TRUE(blob->Commit().ok());
}

TEST_F(PartialBlobsTest, OneAtATimeAndTheSecondFindsTheBytes) {
  auto first = partial_.Open(digest_);
  std::atomic<bool> opened = false;
  std::thread second([&] {
    const auto blob = partial_.Open(digest_);
    opened = true;
    EXPECT_EQ(blob->size(), content_.size());
  });
  ASSERT_TRUE(first->Append(content_).ok());
  EXPECT_FALSE(opened);
  { const auto released = std::move(*first); }
  second.join();
  EXPECT_TRUE(opened);
}

TEST_F(PartialBlobsTest, WaitingForAnotherCanBeCalledOff) {
  const auto held = partial_.Open(digest_);
  std::stop_source stop;
  std::thread waiter([&] {
    EXPECT_EQ(partial_.Open(digest_, stop.get_token()).status().code(), StatusCode::kCancelled);
  });
  stop.request_stop();
  waiter.join();
}

TEST_F(PartialBlobsTest, SweepRemovesWhatIsOldAndNotInUse) {
  const Digest held_digest = oci::DigestOf("held"), fresh = oci::DigestOf("fresh");
  ASSERT_TRUE(partial_.Open(digest_)->Append("x").ok());
  ASSERT_TRUE(partial_.Open(fresh)->Append("x").ok());
  {
    const auto held = partial_.Open(held_digest);
    Age(digest_, PartialBlobs::kKept);
    Age(held_digest, PartialBlobs::kKept);
    EXPECT_EQ(*partial_.Sweep(PartialBlobs::kKept, /*dry_run=*/true), 1);
    EXPECT_EQ(ListDir("partial").size(), 3u);
    EXPECT_EQ(*partial_.Sweep(), 1);
  }
  EXPECT_EQ(ListDir("partial").size(), 2u);
  ASSERT_TRUE(Store::Open({.root = RootPath()}).ok());
  EXPECT_THAT(ListDir("partial"), ElementsAre(std::string(fresh.hex())));
}

TEST_F(PartialBlobsTest, EachStepMayFail) {
  FailEachStep(
      [&]() -> Status {
        auto blob = partial_.Open(digest_);
        if (!blob.ok()) return blob.status();
        if (blob->size() == 0) {
          const Status appended = blob->Append(content_);
          if (!appended.ok()) return appended;
        }
        return blob->Commit();
      },
      [&] {
        // Complete under its name, or not there.
        if (blobs_.Exists(digest_)) {
          EXPECT_EQ(*blobs_.Read(digest_, 100), content_);
        }
      });
  EXPECT_EQ(*blobs_.Read(digest_, 100), content_);
}

}  // namespace
}  // namespace minibox::store
