// SPDX-License-Identifier: Apache-2.0
#include "runtime/spec_resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace minibox::runtime {
namespace {

using ::testing::ElementsAre;
using Strings = std::vector<std::string>;

constexpr const char* kPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

ContainerId Id() { return *ContainerId::Parse("0a1b2c3d"); }

ContainerSpec Resolved(const ContainerSpec& spec, const oci::ImageConfig& image) {
  auto config = ResolveSpec(spec, image, Id());
  EXPECT_TRUE(config.ok()) << config.status().ToString();
  return config->spec;
}

TEST(SpecResolve, CommandFollowsTheRulesOfEntrypointAndCmd) {
  oci::ImageConfig image;
  image.entrypoint = {"/entry", "-e"};
  image.cmd = {"cmd", "1"};
  const auto argv = [&](std::optional<Strings> entrypoint, Strings command) {
    ContainerSpec spec;
    spec.entrypoint = std::move(entrypoint);
    spec.command = std::move(command);
    return Argv(Resolved(spec, image));
  };
  EXPECT_THAT(argv(std::nullopt, {}), ElementsAre("/entry", "-e", "cmd", "1"));
  EXPECT_THAT(argv(std::nullopt, {"x"}), ElementsAre("/entry", "-e", "x"));
  EXPECT_THAT(argv(Strings{"/mine"}, {}), ElementsAre("/mine"));
  EXPECT_THAT(argv(Strings{"/mine"}, {"x"}), ElementsAre("/mine", "x"));
  EXPECT_THAT(argv(Strings{""}, {"x"}), ElementsAre("x"));
  EXPECT_THAT(argv(Strings{}, {}), ElementsAre("/entry", "-e", "cmd", "1"));
}

TEST(SpecResolve, NoCommandAnywhereIsAnError) {
  const auto nothing = ResolveSpec({}, {}, Id());
  EXPECT_EQ(nothing.status().reason(), "command_missing");
  oci::ImageConfig image;
  image.entrypoint = {"/entry"};
  image.cmd = {"cmd"};
  ContainerSpec spec;
  spec.entrypoint = {{""}};
  EXPECT_EQ(ResolveSpec(spec, image, Id()).status().code(), StatusCode::kInvalidArgument);
}

TEST(SpecResolve, EnvironmentKeepsThePlaceOfTheFirstMention) {
  oci::ImageConfig image;
  image.env = {"A=1", "PATH=/bin", "B=1", "C=1"};
  ContainerSpec spec;
  spec.command = {"x"};
  spec.env = {"B=2", "A", "D=1", "B=3", "E", "D=2"};
  EXPECT_THAT(Resolved(spec, image).env,
              ElementsAre("PATH=/bin", "B=3", "C=1", "D=2", "HOSTNAME=0a1b2c3d"));
}

TEST(SpecResolve, MissingVariablesGetTheirDefaults) {
  oci::ImageConfig image;
  image.env = {"PATH=/x"};
  ContainerSpec spec;
  spec.command = {"x"};
  spec.env = {"PATH"};
  spec.hostname = "h";
  EXPECT_THAT(Resolved(spec, image).env, ElementsAre(kPath, "HOSTNAME=h"));
}

TEST(SpecResolve, UnsetFieldsTakeTheImagesValues) {
  oci::ImageConfig image;
  image.cmd = {"x"};
  image.user = "www";
  image.working_dir = "srv/./a";
  image.stop_signal = "quit";
  ContainerSpec spec = Resolved({}, image);
  EXPECT_EQ(spec.user, "www");
  EXPECT_EQ(spec.working_dir, "/srv/a");
  EXPECT_EQ(spec.stop_signal, "SIGQUIT");
  EXPECT_EQ(spec.stop_timeout, std::chrono::seconds(10));

  ContainerSpec request;
  request.user = "0";
  request.working_dir = "/b/../c";
  request.stop_signal = "9";
  request.stop_timeout = std::chrono::seconds(0);
  spec = Resolved(request, image);
  EXPECT_EQ(spec.user, "0");
  EXPECT_EQ(spec.working_dir, "/c");
  EXPECT_EQ(spec.stop_signal, "SIGKILL");
  EXPECT_EQ(spec.stop_timeout, std::chrono::seconds(0));
}

TEST(SpecResolve, HostnameIsTheNameCutTo63BytesElseTheId) {
  oci::ImageConfig image;
  image.cmd = {"x"};
  EXPECT_EQ(Resolved({}, image).hostname, "0a1b2c3d");
  ContainerSpec spec;
  spec.name = std::string(100, 'n');
  EXPECT_EQ(Resolved(spec, image).hostname, std::string(63, 'n'));
}

TEST(SpecResolve, VolumesOfTheImageThatNothingCoversBecomeAnonymous) {
  oci::ImageConfig image;
  image.cmd = {"x"};
  image.volumes = {"/data/", "/logs", "/proc/x"};
  ContainerSpec spec;
  spec.mounts = {{Mount::Kind::kTmpfs, "", "/logs/.", ""}};
  const auto config = ResolveSpec(spec, image, Id());
  ASSERT_TRUE(config.ok());
  ASSERT_EQ(config->spec.mounts.size(), 2u);
  EXPECT_EQ(config->spec.mounts[0].target, "/logs");
  EXPECT_EQ(config->spec.mounts[1].target, "/data");
  EXPECT_EQ(config->spec.mounts[1].kind, Mount::Kind::kVolume);
  EXPECT_EQ(config->spec.mounts[1].source, "");
  EXPECT_EQ(config->warnings.size(), 1u);
}

TEST(SpecResolve, PrivilegedMeansTheHostsIds) {
  oci::ImageConfig image;
  image.cmd = {"x"};
  ContainerSpec spec;
  spec.security.privileged = true;
  EXPECT_TRUE(Resolved(spec, image).security.host_userns);
}

}  // namespace
}  // namespace minibox::runtime
