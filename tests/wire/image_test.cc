// SPDX-License-Identifier: Apache-2.0
#include "wire/image.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(ImageJson, EveryMemberSurvivesTheRoundTrip) {
  ImageInfo info{.id = *Digest::Parse("sha256:" + std::string(64, 'a')),
                 .manifest = *Digest::Parse("sha256:" + std::string(64, 'b'))};
  info.name = "web";
  info.reference = "docker.io/library/web:latest";
  info.size = 5000000000;
  info.created = TimePoint(std::chrono::seconds(1700000000));
  info.platform = {.os = "linux", .architecture = "arm64", .variant = "v8"};
  info.labels = {{"k", "v"}};
  info.in_use = true;
  const auto images = ParseImages(ToJson(std::vector{info}));
  ASSERT_TRUE(images.ok()) << images.status().ToString();
  EXPECT_EQ(ToJson(images->at(0)), ToJson(info));
  EXPECT_EQ(images->at(0).platform.variant, "v8");
  EXPECT_EQ(images->at(0).size, 5000000000u);
  EXPECT_EQ(ToJson(std::vector<ImageInfo>()), "[]");
  EXPECT_TRUE(ParseImage(ToJson(info)).ok());
  EXPECT_FALSE(ParseImage(R"({"id":"sha256:../../x","digest":""})").ok());
}

}  // namespace
}  // namespace minibox::wire
