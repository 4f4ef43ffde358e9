// SPDX-License-Identifier: Apache-2.0
// Load and import as JSON lines (spec §4.2, §5.7), and on a terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/daemon.h"
#include "tools/raw_client.h"

namespace minibox::testing {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ImageLinesTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (HaveRoot()) EnterOwnNetwork();
  }
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    WriteBusyboxContext(scratch_, "context", "BASE base.tar.gz");
    rootfs_ = ReadWholeFile(scratch_ / "context/base.tar.gz");
    daemon_.emplace(scratch_);
  }

  RawResponse Post(const std::string& target, const std::string& body = "",
                   const std::string& headers = "Accept: application/x-ndjson\r\n") const {
    return RawClient::Ask(daemon_->port(),
                          "POST " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
                              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  static std::string LastLine(const RawResponse& response) {
    const std::string text = response.body.substr(0, response.body.size() - 1);
    return text.substr(text.rfind('\n') + 1);
  }
  static void ExpectSuccess(const RawResponse& response, const std::string& log) {
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.Header("content-type"), "application/x-ndjson");
    EXPECT_TRUE(response.complete);
    EXPECT_EQ(response.trailers.at("x-minibox-status"), "ok");
    EXPECT_THAT(response.body, HasSubstr("{\"type\":\"progress\","));
    EXPECT_THAT(response.body, HasSubstr("\"phase\":\"done\""));
    EXPECT_THAT(response.body, HasSubstr("{\"type\":\"log\",\"text\":\"" + log + "\"}\n"));
    EXPECT_THAT(LastLine(response),
                StartsWith("{\"type\":\"result\",\"status\":\"ok\",\"image\":{"));
  }

  Scratch scratch_;
  std::string rootfs_;
  std::optional<Daemon> daemon_;
};

TEST_F(ImageLinesTest, ImportAndLoadTellProgressAndResult) {
  ExpectSuccess(Post("/images/import?image=made", rootfs_), "Imported image made");
  const RawResponse archive = RawClient::Ask(
      daemon_->port(), "GET /images/archive?image=made HTTP/1.1\r\nHost: localhost\r\n\r\n");
  ASSERT_EQ(archive.status, 200);
  ExpectSuccess(Post("/images/archive", archive.body), "Loaded image made");
  const std::string path = scratch_.Write("archive.tar", archive.body);
  ExpectSuccess(Post("/images/load?path=" + path), "Loaded image made from " + path);
  EXPECT_EQ(Post("/images/archive", archive.body, "").body, "Loaded image made\n");
}

TEST_F(ImageLinesTest, FailuresAreResultsToo) {
  const std::string path = scratch_.Write("archive.tar", "garbage");
  for (const RawResponse& failed :
       {Post("/images/archive", std::string(3 << 20, 'x')), Post("/images/archive"),
        Post("/images/import?image=made", "garbage"), Post("/images/load?path=" + path)}) {
    EXPECT_EQ(failed.status, 200);
    EXPECT_TRUE(failed.complete);
    EXPECT_EQ(failed.trailers.at("x-minibox-status"), "error");
    EXPECT_THAT(failed.body, HasSubstr("{\"type\":\"log\",\"text\":\"[error] "));
    EXPECT_THAT(LastLine(failed),
                StartsWith("{\"type\":\"result\",\"status\":\"error\",\"error\":"));
  }
  // What is wrong with the request has its status.
  EXPECT_EQ(Post("/images/import?image=No%20name", rootfs_).status, 400);
  EXPECT_EQ(Post("/images/load?path=/etc/passwd").status, 400);
  EXPECT_EQ(daemon_->Cli({"images", "-q"}).out, "");
}

TEST_F(ImageLinesTest, ATerminalSeesTheSameLines) {
  const std::string rootfs = scratch_ / "context/base.tar.gz";
  const Finished imported =
      RunProgram({"/usr/bin/script", "-qec",
                  std::string(MINIBOX_PATH) + " import " + rootfs + " made", "/dev/null"},
                 {{"MINIBOX_API", "http://127.0.0.1:" + std::to_string(daemon_->port())}});
  EXPECT_EQ(imported.status, 0) << imported.out;
  EXPECT_THAT(imported.out, EndsWith("Imported image made\r\n"));
  const Finished failed = RunProgram(
      {"/usr/bin/script", "-qec", std::string(MINIBOX_PATH) + " load " + rootfs, "/dev/null"},
      {{"MINIBOX_API", "http://127.0.0.1:" + std::to_string(daemon_->port())}});
  EXPECT_EQ(failed.status, 1) << failed.out;
  EXPECT_THAT(failed.out, HasSubstr("load failed: "));
}

}  // namespace
}  // namespace minibox::testing
