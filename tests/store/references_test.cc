// SPDX-License-Identifier: Apache-2.0
#include "store/references.h"

#include <thread>

#include "core/errors.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ReferencesTest : public StoreFixture {
 protected:
  static oci::Descriptor Manifest(std::string_view mark) {
    return {std::string(oci::kOciManifest), oci::DigestOf(mark), mark.size()};
  }
  std::vector<std::string> Digests() const {
    std::vector<std::string> digests;
    for (const auto& entry : Entries()) digests.push_back(entry.digest.ToString());
    return digests;
  }
  static std::string D(std::string_view mark) { return oci::DigestOf(mark).ToString(); }
};

TEST_F(ReferencesTest, IndexIsWrittenAsSpecified) {
  oci::Descriptor manifest = Manifest("a");
  manifest.platform = Platform{.os = "linux", .architecture = "arm64", .variant = "v8"};
  ASSERT_TRUE(references_.Register(manifest, {Ref("alpine")}).ok());
  EXPECT_EQ(*dir().ReadFile("index.json", 10000), core::StrCat(R"({
  "schemaVersion": 2,
  "mediaType": "application/vnd.oci.image.index.v1+json",
  "manifests": [
    {
      "mediaType": "application/vnd.oci.image.manifest.v1+json",
      "digest": ")",
                                                               D("a"), R"(",
      "size": 1,
      "platform": {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8"
      },
      "annotations": {
        "io.containerd.image.name": "docker.io/library/alpine:latest",
        "org.opencontainers.image.ref.name": "alpine"
      }
    }
  ]
})"));
}

TEST_F(ReferencesTest, NamesMoveInPlace) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x"), Ref("y:1")}).ok());
  ASSERT_TRUE(references_.Register(Manifest("b"), {Ref("z")}).ok());
  EXPECT_THAT(Names(), ElementsAre("x", "y:1", "z"));
  // The same reference in another spelling: shown as last registered.
  ASSERT_TRUE(references_.Register(Manifest("b"), {Ref("docker.io/library/x:latest")}).ok());
  EXPECT_THAT(Names(), ElementsAre("x:latest", "y:1", "z"));
  EXPECT_THAT(Digests(), ElementsAre(D("b"), D("a"), D("b")));
}

TEST_F(ReferencesTest, ImageThatLosesItsLastNameStaysNameless) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  ASSERT_TRUE(references_.Register(Manifest("b"), {Ref("x")}).ok());
  EXPECT_THAT(Names(), ElementsAre("x", "-"));
  EXPECT_THAT(Digests(), ElementsAre(D("b"), D("a")));
  EXPECT_TRUE(references_.List()->at(1).annotations.empty());
  // And has one entry again when it gets a name.
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("y")}).ok());
  EXPECT_THAT(Names(), ElementsAre("x", "y"));
}

TEST_F(ReferencesTest, NamelessRegistrationDoesNotRepeat) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {}).ok());
  ASSERT_TRUE(references_.Register(Manifest("a"), {}).ok());
  EXPECT_THAT(Names(), ElementsAre("-"));
  ASSERT_TRUE(references_.Register(Manifest("b"), {Ref("b")}).ok());
  ASSERT_TRUE(references_.Register(Manifest("b"), {}).ok());
  EXPECT_THAT(Names(), ElementsAre("-", "b"));
}

TEST_F(ReferencesTest, LocalNamesAreCaseSensitive) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("MyApp")}).ok());
  ASSERT_TRUE(references_.Register(Manifest("b"), {Ref("MYAPP")}).ok());
  ASSERT_TRUE(references_.Register(Manifest("c"), {Ref("myapp")}).ok());
  EXPECT_THAT(Names(), ElementsAre("MyApp", "MYAPP", "myapp"));
}

TEST_F(ReferencesTest, OtherToolsEntriesAreUnderstoodAndKept) {
  scratch_.Write(
      "root/index.json",
      core::StrCat(
          R"({"schemaVersion":2,"manifests":[
    {"mediaType":"application/vnd.docker.distribution.manifest.v2+json","digest":")",
          D("a"),
          R"(","size":1,"annotations":{"org.opencontainers.image.ref.name":"busybox","x":"kept"}},
    {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")",
          D("b"),
          R"(","size":1,"annotations":{"org.opencontainers.image.ref.name":"Not a: reference!"}},
    {"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")",
          D("c"),
          R"(","size":1,"annotations":{"io.containerd.image.name":"docker.io/library/only:containerd"}}]})"));
  EXPECT_THAT(Names(), ElementsAre("busybox", "-", "only:containerd"));
  ASSERT_TRUE(references_.Register(Manifest("d"), {Ref("docker.io/library/busybox")}).ok());
  EXPECT_THAT(Names(), ElementsAre("busybox", "-", "only:containerd", "-"));
  const auto entries = *references_.List();
  EXPECT_EQ(entries[0].digest, oci::DigestOf("d"));
  EXPECT_EQ(entries[3].media_type, oci::kDockerManifest);
  EXPECT_EQ(entries[3].annotations.at("x"), "kept");
}

TEST_F(ReferencesTest, MissingIndexIsEmpty) {
  ASSERT_TRUE(dir().Unlink("index.json").ok());
  EXPECT_THAT(Names(), IsEmpty());
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  EXPECT_THAT(Names(), ElementsAre("x"));
}

TEST_F(ReferencesTest, DamagedIndexIsNeverOverwritten) {
  for (const char* text : {"", "{", "[]", R"({"manifests":[{"digest":"sha256:short"}]})"}) {
    scratch_.Write("root/index.json", text);
    EXPECT_EQ(references_.List().status().code(), StatusCode::kDataLoss) << text;
    EXPECT_EQ(references_.Register(Manifest("a"), {Ref("x")}).code(), StatusCode::kDataLoss);
    EXPECT_TRUE(DataRoot::Open(RootPath(), true).ok());
    EXPECT_EQ(*dir().ReadFile("index.json", 1000), text);
  }
}

TEST_F(ReferencesTest, NothingIsWrittenWhenNothingChanges) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  const auto before = dir().Stat("index.json")->st_ino;
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  EXPECT_EQ(dir().Stat("index.json")->st_ino, before);
}

TEST_F(ReferencesTest, FailedEditChangesNothing) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  const Status status = references_.Update([](std::vector<oci::Descriptor>& entries) {
    entries.clear();
    return core::Internal("no");
  });
  EXPECT_EQ(status.message(), "no");
  EXPECT_THAT(Names(), ElementsAre("x"));
}

TEST_F(ReferencesTest, AnIndexThatCouldNotBeReadAgainIsRefused) {
  const Status status = references_.Update([](std::vector<oci::Descriptor>& entries) {
    entries.assign(10'001, Manifest("a"));
    return Status();
  });
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ReferencesTest, FailureAtAnyStepLeavesTheOldIndex) {
  ASSERT_TRUE(references_.Register(Manifest("a"), {Ref("x")}).ok());
  const int failures = FailEachStep(
      [&] {
        return references_.Register(Manifest("b"), {Ref("x"), Ref("y")});
      },
      [&] {
        EXPECT_THAT(Names(), ElementsAre("x"));
        EXPECT_THAT(Digests(), ElementsAre(D("a")));
      });
  EXPECT_GE(failures, 4);
  EXPECT_THAT(Names(), ElementsAre("x", "y", "-"));
}

TEST_F(ReferencesTest, RegistrationsFromManyHandlesAllArrive) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t) {
    threads.emplace_back([&, t] {
      const References own(*DataRoot::Open(RootPath(), false));
      for (int i = 0; i < 10; ++i) {
        EXPECT_TRUE(
            own.Register(Manifest(core::StrCat(t, i)), {Ref(core::StrCat("t", t, ":", i))}).ok());
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(Names().size(), 60u);
}

}  // namespace
}  // namespace minibox::store
