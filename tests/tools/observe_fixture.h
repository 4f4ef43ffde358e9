// SPDX-License-Identifier: Apache-2.0
// A daemon with an image `shell` of busybox, for tests of what one sees of containers.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "support/scratch.h"
#include "tools/daemon.h"
#include "tools/raw_client.h"

namespace minibox::testing {

class ObserveTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (HaveRoot()) EnterOwnNetwork();
  }
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    daemon_ = std::make_unique<Daemon>(scratch_);
    WriteBusyboxContext(scratch_, "shell", "BASE base.tar.gz\n");
    const Finished built = daemon_->Cli({"build", "-t", "shell", scratch_ / "shell"});
    ASSERT_EQ(built.status, 0) << built.out << built.err;
  }

  static std::string Request(const std::string& method, const std::string& target,
                             const std::string& body = "", const std::string& headers = "") {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  RawResponse Ask(const std::string& method, const std::string& target,
                  const std::string& body = "", const std::string& headers = "") {
    return RawClient::Ask(daemon_->port(), Request(method, target, body, headers),
                          method == "HEAD");
  }
  // Runs `script` without network in the background; `more` is further JSON. The id.
  std::string Detached(const std::string& script, const std::string& more = "") {
    const RawResponse response = Ask("POST", "/containers/run",
                                     R"({"image":"shell","network":"none","detached":true,)"
                                     R"("command":["sh","-c",")" +
                                         script + "\"]" + more + "}");
    EXPECT_EQ(response.status, 200) << response.body;
    return response.body.substr(0, 8);
  }
  // Runs it in the foreground; the output goes to `output`.
  std::string Ended(const std::string& script, const std::string& more = "",
                    std::string* output = nullptr) {
    const RawResponse response = Ask("POST", "/containers/run",
                                     R"({"image":"shell","network":"none",)"
                                     R"("command":["sh","-c",")" +
                                         script + "\"]" + more + "}");
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_TRUE(response.complete);
    if (output != nullptr) *output = response.body;
    return response.Header("x-minibox-container-id");
  }
  void Remove(const std::string& id) {
    EXPECT_EQ(Ask("POST", "/containers/remove?force=1&id=" + id).status, 200);
  }

  Scratch scratch_;
  std::unique_ptr<Daemon> daemon_;
};

}  // namespace minibox::testing
