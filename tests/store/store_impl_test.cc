// SPDX-License-Identifier: Apache-2.0
#include "store/store_impl.h"

#include "store_fixture.h"

namespace minibox {
inline namespace v1 {

// A friend of Store: what the modules above it see.
class StoreTestPeer {
 public:
  using Impl = Store::Impl;
};

}  // namespace v1

namespace store {
namespace {

using ::testing::ElementsAre;

class StoreImplTest : public StoreFixture {
 protected:
  StoreTestPeer::Impl impl_{root_};
};

TEST_F(StoreImplTest, EnsureLayersUnpacksWhatIsMissingBottomFirst) {
  ASSERT_TRUE(references_.Register(PutImage(blobs_, "a", 5), {Ref("a")}).ok());
  const auto image = *impl_.Resolve("a");
  std::vector<std::string> expected;
  for (const Digest& diff_id : image.config.diff_ids) expected.push_back(LayerStore::Path(diff_id));
  EXPECT_EQ(*impl_.EnsureLayers(image), expected);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(*dir().ReadFile(core::StrCat(expected[i], "/file", i), 10), core::StrCat("a", i));
  }
  ASSERT_TRUE(dir().RemoveAll(expected[2]).ok());
  EXPECT_EQ(*impl_.EnsureLayers(image), expected);
  EXPECT_TRUE(dir().Exists(expected[2]));
}

TEST_F(StoreImplTest, RepeatedLayerIsListedOnceAtItsUpperPlace) {
  auto image = [&] {
    EXPECT_TRUE(references_.Register(PutImage(blobs_, "a", 2), {Ref("a")}).ok());
    return *impl_.Resolve("a");
  }();
  image.manifest.layers.push_back(image.manifest.layers[0]);
  image.config.diff_ids.push_back(image.config.diff_ids[0]);
  EXPECT_THAT(*impl_.EnsureLayers(image), ElementsAre(LayerStore::Path(image.config.diff_ids[1]),
                                                      LayerStore::Path(image.config.diff_ids[0])));
}

TEST_F(StoreImplTest, MismatchedImageIsDamaged) {
  ASSERT_TRUE(references_.Register(PutImage(blobs_, "a", 2), {Ref("a")}).ok());
  auto image = *impl_.Resolve("a");
  image.config.diff_ids.pop_back();
  EXPECT_EQ(impl_.EnsureLayers(image).status().code(), StatusCode::kDataLoss);
}

TEST_F(StoreImplTest, OneBadLayerFailsTheImage) {
  ASSERT_TRUE(references_.Register(PutImage(blobs_, "a", 3), {Ref("a")}).ok());
  auto image = *impl_.Resolve("a");
  image.config.diff_ids[1] = oci::DigestOf("wrong");
  EXPECT_EQ(impl_.EnsureLayers(image).status().code(), StatusCode::kDataLoss);
  ExpectNothingInTmp();
}

TEST_F(StoreImplTest, PinnedImageNeedsNoName) {
  const oci::Descriptor entry = PutImage(blobs_, "a");
  EXPECT_EQ(impl_.ResolveManifest(entry.digest)->info.name, "");
  ASSERT_TRUE(references_.Register(entry, {Ref("a")}).ok());
  EXPECT_EQ(impl_.ResolveManifest(entry.digest)->info.name, "a");
  scratch_.Write("root/index.json", "damaged");
  EXPECT_EQ(impl_.ResolveManifest(entry.digest)->info.labels.at("mark"), "a");
  EXPECT_EQ(impl_.ResolveManifest(oci::DigestOf("x")).status().reason(), "blob_not_found");
}

TEST_F(StoreImplTest, OnlyImageManifestsAreImages) {
  oci::Descriptor entry = PutImage(blobs_, "a");
  entry.media_type = oci::kOciIndex;
  EXPECT_EQ(impl_.Describe(entry).status().code(), StatusCode::kUnimplemented);
  entry.media_type = oci::kDockerManifest;
  EXPECT_TRUE(impl_.Describe(entry).ok());
}

}  // namespace
}  // namespace store
}  // namespace minibox
