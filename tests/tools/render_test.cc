// SPDX-License-Identifier: Apache-2.0
#include "render.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <ctime>

#include "command_line.h"

namespace minibox::cli {
namespace {

const Terminal kPlain(/*colour_out=*/false, /*colour_err=*/false);
const Terminal kColour(/*colour_out=*/true, /*colour_err=*/false);

ContainerInfo Container() {
  ContainerInfo info{.id = *ContainerId::Parse("0123abcd")};
  info.image = "site";
  info.command = {"httpd", "-f", "-p", "8080", "-h", "/srv/www"};
  info.created = TimePoint(std::chrono::seconds(1700000000));
  info.state = ContainerState::kRunning;
  info.ports = {{.host_port = 9000, .container_port = 90, .protocol = PortMapping::Protocol::kUdp},
                {.host_ip = "127.0.0.1", .host_port = 8080, .container_port = 80}};
  return info;
}

class RenderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(RenderTest, ContainersAreATable) {
  ContainerInfo exited{.id = *ContainerId::Parse("ffffffff")};
  exited.image = "a\x1b[31mb";
  exited.state = ContainerState::kExited;
  exited.created = TimePoint(std::chrono::seconds(1700000001));
  exited.exit = ExitStatus{.code = 137};
  EXPECT_EQ(
      ContainerTable({Container(), exited}, kPlain),
      "CONTAINER ID   IMAGE        COMMAND                     CREATED               STATUS    "
      "HEALTH   EXIT   PORTS\n"
      "0123abcd       site         httpd -f -p 8080 -h /s...   2023-11-14 22:13:20   running   "
      "none     -      127.0.0.1:8080->80/tcp, 0.0.0.0:9000->90/udp\n"
      "ffffffff       a\\x1b[31mb                               2023-11-14 22:13:21   exited    "
      "none     137    -\n");
  EXPECT_NE(ContainerTable({Container()}, kColour).find("\033[32mrunning\033[0m"),
            std::string::npos);
  EXPECT_NE(ContainerTable({exited}, kColour).find("\033[31mexited\033[0m"), std::string::npos);
}

TEST_F(RenderTest, ContainersAreJson) {
  EXPECT_EQ(ContainersJson({}), "[]\n");
  const std::string json = ContainersJson({Container()});
  EXPECT_TRUE(json.starts_with("[\n  {\n    \"id\": \"0123abcd\",\n")) << json;
  for (const char* line :
       {"\"command\": \"httpd -f -p 8080 -h /srv/www\"", "\"status\": \"running\"",
        "\"exit\": \"-\"", "\"health\": \"none\"", "\"name\": \"\"", "\"labels\": {}",
        "\"ports\": \"127.0.0.1:8080->80/tcp, 0.0.0.0:9000->90/udp\""}) {
    EXPECT_NE(json.find(line), std::string::npos) << line << "\n" << json;
  }
}

TEST_F(RenderTest, ImagesAreATable) {
  ImageInfo named{.id = *Digest::Parse("sha256:" + std::string(64, 'a')),
                  .manifest = *Digest::Parse("sha256:" + std::string(64, 'b'))};
  named.name = "localhost:5000/site:v2";
  named.size = 1536;
  ImageInfo nameless = named;
  nameless.name = "";
  nameless.size = 12;
  EXPECT_EQ(ImageTable({named, nameless}, kPlain),
            "REPOSITORY            TAG      IMAGE ID       SIZE\n"
            "localhost:5000/site   v2       aaaaaaaaaaaa   1.50 KB\n"
            "<none>                <none>   aaaaaaaaaaaa   12 B\n");
}

TEST(Render, NamesAreTakenApart) {
  using Parts = std::pair<std::string, std::string>;
  EXPECT_EQ(RepositoryAndTag("alpine"), Parts("alpine", "latest"));
  EXPECT_EQ(RepositoryAndTag("alpine:3"), Parts("alpine", "3"));
  EXPECT_EQ(RepositoryAndTag("host:5000/a"), Parts("host:5000/a", "latest"));
  EXPECT_EQ(RepositoryAndTag("a@sha256:0"), Parts("a", "sha256:0"));
}

TEST(Render, SizesHaveTwoDecimals) {
  EXPECT_EQ(SizeText(0), "0 B");
  EXPECT_EQ(SizeText(1023), "1023 B");
  EXPECT_EQ(SizeText(1024), "1.00 KB");
  EXPECT_EQ(SizeText(1572864), "1.50 MB");
  EXPECT_EQ(SizeText(uint64_t{5} << 40), "5.00 TB");
  EXPECT_EQ(SizeText(uint64_t{5000} << 40), "5000.00 TB");
}

TEST(Render, LongTextIsCutAtCodePoints) {
  EXPECT_EQ(Shortened(std::string(25, 'x'), 25), std::string(25, 'x'));
  EXPECT_EQ(Shortened(std::string(26, 'x'), 25), std::string(22, 'x') + "...");
  std::string umlauts, kept;
  for (int i = 0; i < 26; ++i) umlauts += "ä";
  for (int i = 0; i < 22; ++i) kept += "ä";
  EXPECT_EQ(Shortened(umlauts, 25), kept + "...");
}

TEST(Terminal, TagsOfBuildLinesAreColouredOnTerminals) {
  EXPECT_EQ(kPlain.PaintTag("[a] b\n"), "[a] b\n");
  EXPECT_EQ(kColour.PaintTag("[a] b\n"), "\033[1;36m[a]\033[0m b\n");
  EXPECT_EQ(kColour.PaintTag("Build completed\n"), "Build completed\n");
}

TEST(CommandLine, TheNearestNameIsMeant) {
  const std::vector<std::string> names = {"build", "images", "ps", "rm", "rmi", "run"};
  EXPECT_EQ(Nearest("biuld", names), "build");
  EXPECT_EQ(Nearest("image", names), "images");
  EXPECT_EQ(Nearest("rn", names), "rm");
  EXPECT_EQ(Nearest("elephant", names), "");
  EXPECT_EQ(Nearest("xy", names), "");
}

}  // namespace
}  // namespace minibox::cli
