// SPDX-License-Identifier: Apache-2.0
#include "store/lookup.h"

#include "store_fixture.h"

namespace minibox::store {
namespace {

using ::testing::HasSubstr;

class LookupTest : public StoreFixture {
 protected:
  StatusOr<Found> Find(std::string_view text) const {
    return FindImage(blobs_, *references_.List(), text);
  }
  std::string FoundMark(std::string_view text) const {
    const auto found = Find(text);
    if (!found.ok()) return found.status().reason();
    return ReadConfig(blobs_, *ReadManifest(blobs_, found->entry.digest))->labels.at("mark");
  }
  oci::Descriptor Add(std::string_view mark, const std::vector<ImageRef>& names) {
    const oci::Descriptor entry = PutImage(blobs_, mark);
    EXPECT_TRUE(references_.Register(entry, names).ok());
    return entry;
  }
};

TEST_F(LookupTest, ReferencesAreComparedNormalised) {
  Add("a", {Ref("alpine")});
  for (const char* text : {"alpine", "alpine:latest", "library/alpine",
                           "docker.io/library/alpine:latest", "index.docker.io/library/alpine"}) {
    EXPECT_EQ(FoundMark(text), "a") << text;
    EXPECT_TRUE(Find(text)->by_name);
  }
  for (const char* text :
       {"alpine:3", "other/alpine", "quay.io/library/alpine", "Alpine", "ALPINE"}) {
    EXPECT_EQ(FoundMark(text), "image_not_found") << text;
  }
  EXPECT_EQ(Find("none").status().message(), "image not found");
}

TEST_F(LookupTest, LocalNamesAreCaseSensitive) {
  Add("upper", {Ref("MyApp")});
  Add("lower", {Ref("myapp:1")});
  EXPECT_EQ(FoundMark("MyApp"), "upper");
  EXPECT_EQ(FoundMark("MyApp:latest"), "upper");
  EXPECT_EQ(FoundMark("myapp:1"), "lower");
  EXPECT_EQ(FoundMark("myapp"), "image_not_found");
  EXPECT_EQ(FoundMark("MYAPP"), "image_not_found");
}

TEST_F(LookupTest, DigestsAndUniquePrefixes) {
  const oci::Descriptor entry = Add("a", {Ref("alpine"), Ref("second")});
  Add("b", {});
  const std::string manifest(entry.digest.hex());
  const std::string config(ReadManifest(blobs_, entry.digest)->config.digest.hex());
  for (const std::string& hex : {manifest, config}) {
    for (const std::string& text : {"sha256:" + hex, hex, hex.substr(0, 12),
                                    "sha256:" + hex.substr(0, 12), hex.substr(0, 6)}) {
      EXPECT_EQ(FoundMark(text), "a") << text;
    }
    EXPECT_FALSE(Find(hex)->by_name);
    // Several names are no ambiguity; the first registered is shown.
    EXPECT_EQ(ShownName(Find(hex)->entry), "alpine");
    EXPECT_EQ(FoundMark(hex.substr(0, 5)), "image_not_found");
    EXPECT_EQ(Find("sha256:" + hex.substr(0, 5)).status().code(), StatusCode::kNotFound) << hex;
  }
  EXPECT_EQ(FoundMark("sha256:" + std::string(64, '0')), "image_not_found");
}

TEST_F(LookupTest, AmbiguousPrefixListsTheCandidates) {
  // Entries need no content for the manifests' own digests.
  const auto entry = [](const std::string& hex, const char* name) {
    oci::Descriptor made{std::string(oci::kDockerList), oci::DigestFromHex(hex), 1};
    if (*name != '\0') made.annotations[std::string(kRefName)] = name;
    return made;
  };
  const std::string a = "abcdef0" + std::string(57, '1'), b = "abcdef0" + std::string(57, '2');
  const std::vector<oci::Descriptor> entries = {entry(a, "one"), entry(b, ""), entry(a, "uno")};
  const Status status = FindImage(blobs_, entries, "abcdef").status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.reason(), "ambiguous_name");
  EXPECT_THAT(status.message(), HasSubstr(a + " (one)"));
  EXPECT_THAT(status.message(), HasSubstr(b));
  EXPECT_EQ(FindImage(blobs_, entries, "abcdef01")->entry.digest.hex(), a);
}

TEST_F(LookupTest, NameGoesBeforePrefix) {
  const std::string a = "abcdef" + std::string(58, '1');
  oci::Descriptor by_digest{std::string(oci::kDockerList), oci::DigestFromHex(a), 1};
  oci::Descriptor by_name = PutImage(blobs_, "named");
  by_name.annotations[std::string(kRefName)] = "abcdef";
  EXPECT_TRUE(FindImage(blobs_, {by_digest, by_name}, "abcdef")->by_name);
  EXPECT_EQ(FindImage(blobs_, {by_digest, by_name}, "sha256:abcdef")->entry.digest.hex(), a);
}

TEST_F(LookupTest, NameWithDigestFindsWhatBothDescribe) {
  const oci::Descriptor entry = Add("a", {Ref("alpine:3")});
  Add("b", {Ref("other")});
  const std::string digest = entry.digest.ToString();
  EXPECT_EQ(FoundMark("alpine@" + digest), "a");
  EXPECT_EQ(FoundMark("alpine:3@" + digest), "a");
  EXPECT_EQ(FoundMark("alpine:4@" + digest), "image_not_found");
  EXPECT_EQ(FoundMark("other@" + digest), "image_not_found");
  EXPECT_EQ(FoundMark("alpine@" + oci::DigestOf("x").ToString()), "image_not_found");
}

TEST_F(LookupTest, WhatIsNoNameAtAllIsAnInvalidArgument) {
  for (const char* text : {"", "a b", "../x", "upper/Case", "a:b:c", "sha256:xyz/"}) {
    EXPECT_EQ(Find(text).status().reason(), "invalid_reference") << text;
  }
}

TEST_F(LookupTest, DamagedImageDoesNotHideOthers) {
  const oci::Descriptor bad = Add("bad", {Ref("bad")});
  const oci::Descriptor good = Add("good", {Ref("good")});
  ASSERT_TRUE(dir().Unlink(core::StrCat("blobs/sha256/", bad.digest.hex())).ok());
  const std::string config(ReadManifest(blobs_, good.digest)->config.digest.hex());
  EXPECT_EQ(FoundMark(config.substr(0, 16)), "good");
  EXPECT_EQ(ReadManifest(blobs_, bad.digest).status().reason(), "blob_not_found");
  const Digest garbage = *blobs_.Put("garbage");
  EXPECT_EQ(ReadManifest(blobs_, garbage).status().code(), StatusCode::kDataLoss);
}

}  // namespace
}  // namespace minibox::store
