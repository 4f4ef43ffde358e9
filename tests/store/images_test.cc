// SPDX-License-Identifier: Apache-2.0
// Images through the public Store.
#include "core/clock.h"
#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ImagesTest : public StoreFixture {
 protected:
  oci::Descriptor Add(std::string_view mark, const std::vector<ImageRef>& names) {
    const oci::Descriptor entry = PutImage(blobs_, mark, 2);
    EXPECT_TRUE(references_.Register(entry, names).ok());
    return entry;
  }
  void AddContainer(std::string_view id, const Digest& manifest, std::string_view status) {
    scratch_.Write(core::StrCat("root/containers/", id, "/state.json"),
                   core::StrCat(R"({"id":")", id, R"(","status":")", status,
                                R"(","image_digest":")", manifest.ToString(), R"("})"));
  }
  Store store_ = *Store::Open({.root = RootPath()});
};

TEST_F(ImagesTest, GetTellsEverything) {
  const oci::Descriptor entry = Add("a", {Ref("docker.io/library/alpine:3.20")});
  const ImageInfo image = *store_.GetImage("alpine:3.20");
  EXPECT_EQ(image.name, "alpine:3.20");
  EXPECT_EQ(image.reference, "docker.io/library/alpine:3.20");
  EXPECT_EQ(image.manifest, entry.digest);
  EXPECT_NE(image.id, entry.digest);
  EXPECT_EQ(core::FormatTime(image.created), "2026-01-02T03:04:05.000000000Z");
  EXPECT_EQ(image.platform.architecture, oci::HostPlatform().architecture);
  EXPECT_EQ(image.labels, (Labels{{"mark", "a"}}));
  EXPECT_FALSE(image.in_use);
  uint64_t stored = 0;
  for (const std::string& hex : ListDir("blobs/sha256")) {
    stored += *blobs_.Size(oci::DigestFromHex(hex));
  }
  EXPECT_EQ(image.size, stored);
  EXPECT_EQ(store_.root(), RootPath());
}

TEST_F(ImagesTest, ListIsSortedByName) {
  const oci::Descriptor b = Add("b", {Ref("b"), Ref("a:2")});
  Add("n", {});
  Add("z", {Ref("B")});
  AddContainer("11111111", b.digest, "exited");
  std::vector<std::string> names;
  const std::vector<ImageInfo> images = *store_.ListImages();
  for (const ImageInfo& image : images) {
    names.push_back(image.name);
    EXPECT_EQ(image.in_use, image.manifest == b.digest);
  }
  EXPECT_THAT(names, ElementsAre("", "B", "a:2", "b"));
}

TEST_F(ImagesTest, DamagedImageDoesNotHideOthers) {
  const oci::Descriptor bad = Add("bad", {Ref("bad")});
  Add("good", {Ref("good")});
  ASSERT_TRUE(dir().Unlink(core::StrCat("blobs/sha256/", bad.digest.hex())).ok());
  EXPECT_EQ(store_.ListImages()->size(), 1u);
  EXPECT_EQ(store_.GetImage("bad").status().reason(), "blob_not_found");
  EXPECT_TRUE(store_.GetImage("good").ok());
}

TEST_F(ImagesTest, TagsNameAndMove) {
  const oci::Descriptor a = Add("a", {Ref("a")}), b = Add("b", {Ref("b")});
  ASSERT_TRUE(store_.TagImage("a", "stable").ok());
  EXPECT_EQ(store_.GetImage("stable")->manifest, a.digest);
  ASSERT_TRUE(store_.TagImage(b.digest.ToString(), "stable").ok());
  EXPECT_EQ(store_.GetImage("stable")->manifest, b.digest);
  EXPECT_THAT(Names(), ElementsAre("a", "b", "stable"));
  EXPECT_EQ(store_.TagImage("none", "x").reason(), "image_not_found");
  EXPECT_EQ(store_.TagImage("a", "Bad/Name").reason(), "invalid_reference");
  EXPECT_EQ(store_.TagImage("a", "x@" + a.digest.ToString()).reason(), "invalid_reference");
  // The image itself under its own name in another spelling.
  ASSERT_TRUE(store_.TagImage("a", "library/a:latest").ok());
  EXPECT_THAT(Names(), ElementsAre("a:latest", "b", "stable"));
}

TEST_F(ImagesTest, RemoveTakesTheNameGiven) {
  const oci::Descriptor a = Add("a", {Ref("a"), Ref("a:2")});
  EXPECT_THAT(*store_.RemoveImage("a"), ElementsAre("a"));
  EXPECT_THAT(Names(), ElementsAre("a:2"));
  EXPECT_EQ(store_.RemoveImage("a").status().reason(), "image_not_found");
  EXPECT_THAT(*store_.RemoveImage("a:2"), ElementsAre("a:2"));
  EXPECT_THAT(Names(), IsEmpty());
  // Content stays until it is collected.
  EXPECT_TRUE(blobs_.Exists(a.digest));
}

TEST_F(ImagesTest, RemoveByDigestNeedsForceForSeveralNames) {
  const oci::Descriptor a = Add("a", {Ref("a"), Ref("b")});
  const std::string digest = a.digest.ToString();
  const Status status = store_.RemoveImage(digest).status();
  EXPECT_EQ(status.reason(), "image_in_use");
  EXPECT_THAT(status.message(), HasSubstr("a, b"));
  EXPECT_THAT(*store_.RemoveImage(digest, {.force = true}), ElementsAre("a", "b"));
  Add("a", {Ref("c")});
  EXPECT_THAT(*store_.RemoveImage(digest.substr(0, 20)), ElementsAre("c"));
  Add("a", {});
  EXPECT_THAT(*store_.RemoveImage(digest), IsEmpty());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ImagesTest, LastNameOfAnImageInUseNeedsForce) {
  const oci::Descriptor a = Add("a", {Ref("a"), Ref("b")});
  AddContainer("11111111", a.digest, "exited");
  AddContainer("22222222", oci::DigestOf("other"), "running");
  EXPECT_TRUE(store_.RemoveImage("a").ok());
  const Status status = store_.RemoveImage("b").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.reason(), "image_in_use");
  EXPECT_THAT(status.message(), HasSubstr("11111111"));
  EXPECT_THAT(Names(), ElementsAre("b"));
  EXPECT_EQ(store_.RemoveImage(a.digest.ToString()).status().reason(), "image_in_use");
  EXPECT_TRUE(store_.RemoveImage("b", {.force = true}).ok());
  EXPECT_THAT(Names(), IsEmpty());
}

TEST_F(ImagesTest, ContainerThatIsBeingRemovedHoldsNothing) {
  const oci::Descriptor a = Add("a", {Ref("a")});
  AddContainer("11111111", a.digest, "removing");
  EXPECT_TRUE(store_.RemoveImage("a").ok());
}

TEST_F(ImagesTest, FailureAtAnyStepKeepsTheNames) {
  Add("a", {Ref("a")});
  EXPECT_GE(FailEachStep([&] { return store_.TagImage("a", "b"); },
                         [&] { EXPECT_THAT(Names(), ElementsAre("a")); }),
            4);
  EXPECT_GE(FailEachStep([&] { return store_.RemoveImage("a").status(); },
                         [&] { EXPECT_THAT(Names(), ElementsAre("a", "b")); }),
            4);
  EXPECT_THAT(Names(), ElementsAre("b"));
}

TEST_F(ImagesTest, HandlesOfOneRootSeeEachOthersChanges) {
  Store other = *Store::Open({.root = RootPath()});
  const Store copy = other;
  Add("a", {Ref("a")});
  EXPECT_TRUE(copy.GetImage("a").ok());
  ASSERT_TRUE(other.TagImage("a", "b").ok());
  EXPECT_TRUE(store_.GetImage("b").ok());
}

TEST_F(ImagesTest, OpenMayRefuseToCreate) {
  EXPECT_EQ(Store::Open({.root = scratch_ / "none", .create_if_missing = false}).status().code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace minibox::store
