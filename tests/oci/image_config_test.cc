// SPDX-License-Identifier: Apache-2.0
#include "oci/image_config.h"

#include <gtest/gtest.h>

#include <string>

#include "oci/digest.h"

namespace minibox::oci {
namespace {

ImageConfig Full() {
  ImageConfig config;
  config.created = "1970-01-01T00:00:00Z";
  config.platform = {"linux", "arm64", "v8"};
  config.user = "1000:1000";
  config.working_dir = "/srv";
  config.stop_signal = "SIGINT";
  config.env = {"PATH=/bin", "Z=1", "A=ü\"\\"};
  config.cmd = {"a", ""};
  config.entrypoint = {"/bin/sh", "-c"};
  config.shell = {"/bin/ash"};
  config.exposed_ports = {"443/tcp", "80/tcp"};
  config.volumes = {"/data", "/srv/x"};
  config.labels = {{"b", "2"}, {"a", "1"}};
  config.healthcheck = Healthcheck{{"CMD", "true"}, 1'000'000'000, 2, 3, 4};
  config.diff_ids = {DigestOf("1"), DigestOf("2")};
  config.history = {{"1970-01-01T00:00:00Z", "RUN x", "c", false}, {"", "ENV", "", true}};
  return config;
}

TEST(ImageConfig, RoundTrip) {
  const std::string text = SerializeImageConfig(Full());
  const auto config = ParseImageConfig(text);
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(SerializeImageConfig(*config), text);
  EXPECT_EQ(config->env, Full().env);
  EXPECT_EQ(config->labels, Full().labels);
  EXPECT_EQ(config->volumes, Full().volumes);
  EXPECT_EQ(config->diff_ids, Full().diff_ids);
  EXPECT_EQ(config->healthcheck->retries, 4);
  EXPECT_EQ(config->healthcheck->start_period_ns, 3);
  ASSERT_EQ(config->history.size(), 2u);
  EXPECT_TRUE(config->history[1].empty_layer);
  EXPECT_EQ(config->history[0].comment, "c");
  EXPECT_EQ(config->platform.variant, "v8");
}

TEST(ImageConfig, SetsAreSortedWhateverTheOrder) {
  ImageConfig config = Full();
  config.exposed_ports = {"80/tcp", "443/tcp", "80/tcp"};
  EXPECT_EQ(SerializeImageConfig(config), SerializeImageConfig(Full()));
}

TEST(ImageConfig, NullsAndMissingPartsAreEmpty) {
  const auto config = ParseImageConfig(
      R"({"architecture":"amd64","os":"linux","author":"x","config":{"Cmd":null,"Env":null,)"
      R"("Volumes":null,"Labels":null,"Healthcheck":null,"Tty":false},"rootfs":{"type":"layers",)"
      R"("diff_ids":null},"history":null,"unknown":[1]})");
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_TRUE(config->cmd.empty());
  EXPECT_TRUE(config->diff_ids.empty());
  EXPECT_FALSE(config->healthcheck.has_value());
  EXPECT_TRUE(ParseImageConfig("{}").ok());
}

TEST(ImageConfig, ErrorsNameThePath) {
  struct Row {
    std::string text, path;
  };
  const Row table[] = {
      {"1", "$"},
      {R"({"os":1})", "$.os"},
      {R"({"config":[]})", "$.config"},
      {R"({"config":{"Cmd":"sh"}})", "$.config.Cmd"},
      {R"({"config":{"Cmd":[1]}})", "$.config.Cmd[0]"},
      {R"({"config":{"Env":{}}})", "$.config.Env"},
      {R"({"config":{"Volumes":["/x"]}})", "$.config.Volumes"},
      {R"({"config":{"Healthcheck":{"Interval":-1}}})", "$.config.Healthcheck.Interval"},
      {R"({"rootfs":{"type":"windows"}})", "$.rootfs.type"},
      {R"({"rootfs":{"diff_ids":["sha256:12"]}})", "$.rootfs.diff_ids[0]"},
      {R"({"rootfs":{"diff_ids":{}}})", "$.rootfs.diff_ids"},
      {R"({"history":[{"empty_layer":"yes"}]})", "$.history[0].empty_layer"},
  };
  for (const Row& row : table) {
    const auto config = ParseImageConfig(row.text);
    ASSERT_FALSE(config.ok()) << row.text;
    EXPECT_EQ(config.status().code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(config.status().message().starts_with(row.path + ":")) << row.text << "\n"
                                                                       << config.status().message();
  }
}

}  // namespace
}  // namespace minibox::oci
