// SPDX-License-Identifier: Apache-2.0
#include "wire/messages.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(Messages, ErrorsAreReadBack) {
  EXPECT_EQ(ToJson(ErrorMessage{"internal", "it \"broke\"", ""}),
            R"({"error":{"code":"internal","message":"it \"broke\""}})");
  const auto error = ParseError(ToJson(ErrorMessage{"invalid_argument", "m", "ports[\"1\"]"}));
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->code, "invalid_argument");
  EXPECT_EQ(error->field, "ports[\"1\"]");
  EXPECT_FALSE(ParseError("Unauthorized\n").has_value());
  EXPECT_FALSE(ParseError("{}").has_value());
}

TEST(Messages, LinesOfProgress) {
  EXPECT_EQ(LogLine("[a] b"), "{\"type\":\"log\",\"text\":\"[a] b\"}\n");
  EXPECT_EQ(FinalLine(Status()), "{\"type\":\"result\",\"status\":\"ok\"}\n");
  EXPECT_EQ(FinalLine(Status(StatusCode::kInternal, "x")),
            "{\"type\":\"result\",\"status\":\"error\",\"error\":\"x\"}\n");
  EXPECT_EQ(ResultLine("0123abcd", "Container 0123abcd stopped"),
            R"({"id":"0123abcd","message":"Container 0123abcd stopped"})");
}

TEST(Messages, VolumesAreReadBack) {
  VolumeInfo volume;
  volume.name = "data";
  volume.path = "/x/data";
  volume.created = TimePoint(std::chrono::seconds(1700000000));
  volume.labels = {{"a", "b"}};
  const auto volumes = ParseVolumes(ToJson(std::vector{volume}));
  ASSERT_TRUE(volumes.ok());
  EXPECT_EQ(ToJson(volumes->at(0)), ToJson(volume));
  EXPECT_TRUE(ParseVolume(ToJson(volume)).ok());
}

TEST(Messages, Version) {
  EXPECT_EQ(ToJson(VersionInfo{"0.1.0", "linux", "amd64", "6.1"}),
            R"({"version":"0.1.0","api_version":"1","os":"linux","architecture":"amd64",)"
            R"("kernel":"6.1"})");
}

}  // namespace
}  // namespace minibox::wire
