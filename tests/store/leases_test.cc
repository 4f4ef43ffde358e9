// SPDX-License-Identifier: Apache-2.0
#include "store/leases.h"

#include <unistd.h>

#include <optional>
#include <thread>

#include "core/clock.h"
#include "core/json.h"
#include "core/process.h"
#include "store/kept_leases.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class LeasesTest : public StoreFixture {
 protected:
  std::vector<std::string> Files() const { return *dir().List("leases"); }
  // The only record.
  json::Value Record() const {
    for (const std::string& name : Files()) {
      if (name.ends_with(".json")) return *json::Parse(*dir().ReadFile("leases/" + name, 1 << 20));
    }
    return {};
  }
  Leases leases_{root_};
};

TEST_F(LeasesTest, RecordNamesOwnerExpiryAndWhatIsHeld) {
  Lease lease = *leases_.Acquire("build");
  const Digest a = oci::DigestOf("a"), b = oci::DigestOf("b");
  ASSERT_TRUE(lease.AddBlob(a).ok());
  ASSERT_TRUE(lease.AddBlob(b).ok());
  ASSERT_TRUE(lease.AddBlob(a).ok());
  ASSERT_TRUE(lease.AddLayer(a).ok());
  ASSERT_TRUE(lease.AddSnapshot(a.hex()).ok());
  const json::Value record = Record();
  EXPECT_EQ(*record.GetString("operation"), "build");
  EXPECT_EQ(*record.GetInt("pid"), getpid());
  EXPECT_EQ(*record.Get("start_time").AsUint(), *core::ProcessStartTime(getpid()));
  EXPECT_EQ(*record.GetString("boot_id"), *core::BootId());
  const auto left =
      *core::ParseTime(*record.GetString("expires_at")) - std::chrono::system_clock::now();
  EXPECT_GT(left, std::chrono::minutes(59));
  EXPECT_LE(left, std::chrono::hours(1));
  EXPECT_THAT(*record.GetStringArray("blobs"), UnorderedElementsAre(a.ToString(), b.ToString()));
  EXPECT_THAT(*record.GetStringArray("layers"), ElementsAre(a.ToString()));
  EXPECT_THAT(*record.GetStringArray("snapshots"), ElementsAre(a.hex()));
}

TEST_F(LeasesTest, EndsWithItsHolder) {
  {
    Lease lease = *leases_.Acquire("build");
    const Lease moved(std::move(lease));
    EXPECT_EQ(Files().size(), 2u);
    ASSERT_TRUE(leases_.Sweep().ok());
    EXPECT_EQ(Files().size(), 2u);
  }
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(LeasesTest, KeptOnesOutliveTheirHolderUntilTheOperationSucceeds) {
  { ASSERT_TRUE(leases_.Acquire("pull a", {}, std::chrono::hours(24)).ok()); }
  EXPECT_THAT(Files(), IsEmpty());  // nothing in it

  {
    ASSERT_TRUE(
        leases_.Acquire("pull a", LeaseItems().Blob(oci::DigestOf("a")), std::chrono::hours(24))
            .ok());
  }
  const Lease held =
      *leases_.Acquire("pull a", LeaseItems().Blob(oci::DigestOf("b")), std::chrono::hours(24));
  ASSERT_TRUE(leases_.Sweep().ok());
  EXPECT_EQ(Files().size(), 4u);
  EXPECT_EQ(leases_.Read()->blobs.size(), 2u);
  ASSERT_TRUE(ForgetKeptLeases(*root_, "pull b").ok());
  EXPECT_EQ(Files().size(), 4u);
  ASSERT_TRUE(ForgetKeptLeases(*root_, "pull a").ok());
  EXPECT_THAT(leases_.Read()->blobs, ElementsAre(oci::DigestOf("b").ToString()));
}

TEST_F(LeasesTest, KeptOnesEndWithTheirTime) {
  scratch_.Write("root/leases/old.json",
                 R"({"keep":true,"expires_at":"2026-01-01T00:00:00Z","blobs":[]})");
  scratch_.Write("root/leases/new.json",
                 R"({"keep":true,"expires_at":"2999-01-01T00:00:00Z","blobs":[]})");
  EXPECT_EQ(*leases_.Sweep(), 1);
  EXPECT_THAT(Files(), UnorderedElementsAre("new.json", "new.lock"));
}

TEST_F(LeasesTest, SweepRemovesWhatHasNoOwner) {
  const Lease held = *leases_.Acquire("build");
  scratch_.Write("root/leases/dead.json", R"({"pid":1,"expires_at":"2999-01-01T00:00:00Z"})");
  scratch_.Write("root/leases/dead.lock", "");
  scratch_.Write("root/leases/damaged.json", "{");
  scratch_.Write("root/leases/only.lock", "");
  scratch_.Write("root/leases/.half.json.01234567.tmp", "{");
  ASSERT_TRUE(leases_.Sweep().ok());
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_EQ(*Record().GetString("operation"), "build");
}

TEST_F(LeasesTest, WhatCouldNotBeWrittenIsWrittenByTheNextAttempt) {
  Lease lease = *leases_.Acquire("build");
  const Digest a = oci::DigestOf("a");
  const int failures =
      FailEachStep([&] { return lease.AddBlob(a); },
                   [&] { EXPECT_THAT(*Record().GetStringArray("blobs"), IsEmpty()); });
  EXPECT_GE(failures, 3);
  EXPECT_THAT(*Record().GetStringArray("blobs"), ElementsAre(a.ToString()));
}

TEST_F(LeasesTest, FailedAcquisitionLeavesNothing) {
  std::optional<Lease> lease;
  const int failures = FailEachStep(
      [&] {
        auto acquired = leases_.Acquire("build");
        if (acquired.ok()) lease.emplace(std::move(*acquired));
        return acquired.status();
      },
      [&] { EXPECT_THAT(Files(), IsEmpty()); });
  EXPECT_GE(failures, 4);
  EXPECT_EQ(Files().size(), 2u);
}

TEST_F(LeasesTest, ThreadsMayShareOne) {
  Lease lease = *leases_.Acquire("pull");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(lease.AddBlob(oci::DigestOf(core::StrCat(t, i))).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Record().GetStringArray("blobs")->size(), 40u);
}

}  // namespace
}  // namespace minibox::store
