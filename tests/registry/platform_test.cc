// SPDX-License-Identifier: Apache-2.0
#include "registry/platform.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "oci/digest.h"
#include "oci/media_types.h"

namespace minibox::registry {
namespace {

using ::testing::HasSubstr;

oci::Index IndexOf(const std::vector<Platform>& platforms) {
  oci::Index index;
  for (const Platform& platform : platforms) {
    oci::Descriptor entry{std::string(oci::kOciManifest), oci::DigestOf(PlatformText(platform)), 1};
    entry.platform = platform;
    index.manifests.push_back(std::move(entry));
  }
  return index;
}

std::string Selected(const std::vector<Platform>& platforms, const Platform& want) {
  const auto entry = SelectEntry(IndexOf(platforms), want);
  return entry.ok() ? PlatformText(*entry->platform) : entry.status().message();
}

TEST(RegistryPlatform, EqualOnesFirst) {
  EXPECT_EQ(Selected({{"linux", "arm64", "v8"}, {"linux", "amd64"}}, {"linux", "amd64"}),
            "linux/amd64");
  EXPECT_EQ(Selected({{"linux", "amd64", "v3"}, {"linux", "amd64"}}, {"linux", "amd64"}),
            "linux/amd64");
  EXPECT_EQ(Selected({{"linux", "arm", "v6"}, {"linux", "arm", "v7"}}, {"linux", "arm", "v6"}),
            "linux/arm/v6");
}

TEST(RegistryPlatform, VariantsFallBackToTheNearestLowerOne) {
  const std::vector<Platform> arm = {
      {"linux", "arm", "v5"}, {"linux", "arm", "v6"}, {"linux", "arm", "v8"}};
  EXPECT_EQ(Selected(arm, {"linux", "arm", "v7"}), "linux/arm/v6");
  EXPECT_EQ(Selected(arm, {"linux", "arm"}), "linux/arm/v6");
  EXPECT_EQ(Selected({{"linux", "arm64"}}, {"linux", "arm64", "v8"}), "linux/arm64");
  EXPECT_EQ(Selected({{"linux", "amd64", "v2"}}, {"linux", "amd64", "v3"}), "linux/amd64/v2");
  EXPECT_THAT(Selected({{"linux", "arm", "v7"}}, {"linux", "arm", "v6"}),
              HasSubstr("no image for"));
  EXPECT_THAT(Selected({{"linux", "amd64", "strange"}}, {"linux", "amd64"}),
              HasSubstr("there is linux/amd64/strange"));
}

TEST(RegistryPlatform, NoMatchListsWhatThereIs) {
  EXPECT_EQ(Selected({{"windows", "amd64"}, {"unknown", "unknown"}, {"linux", "s390x"}},
                     {"linux", "amd64"}),
            "no image for linux/amd64; there is windows/amd64, linux/s390x");
  EXPECT_EQ(Selected({}, {"linux", "amd64"}), "no image for linux/amd64; there is none");
}

TEST(RegistryPlatform, TheHostsArchitectureIsFilledIn) {
  EXPECT_EQ(WantedPlatform({}).architecture, oci::HostPlatform().architecture);
  EXPECT_EQ(WantedPlatform({.os = "", .architecture = "x"}).os, "linux");
}

}  // namespace
}  // namespace minibox::registry
