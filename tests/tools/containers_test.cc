// SPDX-License-Identifier: Apache-2.0
// Containers through the daemon and the command line, with real images.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "tools/daemon.h"
#include "tools/raw_client.h"

namespace minibox::testing {
namespace {

class ContainersTest : public ::testing::Test {
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
    ASSERT_TRUE(built.out.ends_with("Build completed successfully\n")) << built.out;
  }

  static std::string Request(const std::string& method, const std::string& target,
                             const std::string& body = "", const std::string& headers = "") {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  RawResponse Ask(const std::string& method, const std::string& target,
                  const std::string& body = "", const std::string& headers = "") {
    return RawClient::Ask(daemon_->port(), Request(method, target, body, headers));
  }
  // The body of a run of `script` without network; `more` is further JSON.
  static std::string Run(const std::string& script, const std::string& more = "") {
    return R"({"image":"shell","network":"none","command":["sh","-c",")" + script + "\"]" + more +
           "}";
  }
  std::string Detached(const std::string& script, const std::string& more = "") {
    const RawResponse response =
        Ask("POST", "/containers/run", Run(script, R"(,"detached":true)" + more));
    EXPECT_EQ(response.status, 200) << response.body;
    return response.body.substr(0, 8);
  }
  std::string Field(const std::string& id, const std::string& key) {
    const std::string all = Ask("GET", "/containers").body;
    const size_t begin = all.find("\"" + id + "\":{"), at = all.find("\"" + key + "\":", begin);
    if (begin == std::string::npos || at == std::string::npos) return "";
    const size_t value = at + key.size() + 3;
    return all.substr(value, all.find_first_of(",}", value) - value);
  }

  // A machine may forbid to raise limits, of which every start warns then.
  static std::string WithoutLimitWarnings(const std::string& text) {
    std::string kept;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("!!  cannot apply ulimit")) kept += line + "\n";
    }
    return kept;
  }
  // Whether a process has this command line.
  static bool IsRunning(const std::string& command) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      std::ifstream in(entry.path() / "cmdline");
      std::string line((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
      std::replace(line.begin(), line.end(), '\0', ' ');
      if (line == command + " ") return true;
    }
    return false;
  }

  Scratch scratch_;
  std::unique_ptr<Daemon> daemon_;
};

TEST_F(ContainersTest, ForegroundRunsStreamTheirOutputAndEndWithTheirStatus) {
  const RawResponse exited = Ask("POST", "/containers/run", Run("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(exited.status, 200) << exited.body;
  EXPECT_EQ(exited.Header("trailer"), "X-Minibox-Exit-Code, X-Minibox-Exit-Reason");
  EXPECT_EQ(exited.Header("x-minibox-container-id").size(), 8u);
  EXPECT_EQ(exited.body.size(), 8u);
  EXPECT_NE(exited.body.find("out\n"), std::string::npos);
  EXPECT_NE(exited.body.find("err\n"), std::string::npos);
  EXPECT_TRUE(exited.complete);
  EXPECT_EQ(exited.trailers.at("x-minibox-exit-code"), "3");
  EXPECT_EQ(exited.trailers.at("x-minibox-exit-reason"), "exited");

  const RawResponse killed = Ask("POST", "/containers/run", Run("kill -TERM $$"));
  EXPECT_EQ(killed.trailers.at("x-minibox-exit-code"), "143");
  EXPECT_EQ(killed.trailers.at("x-minibox-exit-reason"), "signal");

  const RawResponse late = Ask("POST", "/containers/run", Run("sleep 60", R"(,"timeout":"200ms")"));
  EXPECT_EQ(late.trailers.at("x-minibox-exit-code"), "137");
  EXPECT_EQ(late.trailers.at("x-minibox-exit-reason"), "timeout");
}

TEST_F(ContainersTest, OutputIsCompleteHoweverMuch) {
  const RawResponse response = Ask("POST", "/containers/run", Run("seq 1 200000", R"(,"rm":true)"));
  std::string expected;
  for (int i = 1; i <= 200000; ++i) expected += std::to_string(i) + "\n";
  EXPECT_TRUE(response.body == expected) << response.body.size() << " of " << expected.size();
  EXPECT_EQ(Ask("GET", "/containers").body, "{}\n");
}

TEST_F(ContainersTest, FailedStartsAreOrdinaryErrors) {
  const auto run = [&](const std::string& command) {
    return Ask("POST", "/containers/run",
               R"({"image":"shell","network":"none","command":[")" + command + "\"]}");
  };
  const RawResponse missing = run("no-such-command");
  EXPECT_EQ(missing.status, 400) << missing.body;
  EXPECT_EQ(missing.Header("x-minibox-exit-code"), "127");
  const RawResponse directory = run("/etc");
  EXPECT_EQ(directory.status, 400) << directory.body;
  EXPECT_EQ(directory.Header("x-minibox-exit-code"), "126");
  EXPECT_EQ(Ask("GET", "/containers").body, "{}\n");
}

TEST_F(ContainersTest, AClientThatGoesAwayTakesItsContainerAlongUnlessToldOtherwise) {
  for (const bool keep : {false, true}) {
    RawClient client(daemon_->port());
    client.Send(Request("POST", "/containers/run",
                        Run("echo begun; sleep 60", keep ? R"(,"on_disconnect":"keep")" : "")));
    RawResponse response = client.ReceiveHead();
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(client.ReceiveChunk(&response), "begun\n");
    const std::string id = response.Header("x-minibox-container-id");
    client.Close();
    if (keep) {
      // Nothing can be waited for that does not happen: the log still takes orders.
      EXPECT_EQ(Ask("GET", "/containers/logs?id=" + id).body, "begun\n");
      EXPECT_EQ(Field(id, "status"), "\"running\"");
      EXPECT_EQ(Ask("POST", "/containers/kill?id=" + id).body, "Container " + id + " killed\n");
    } else {
      // until_exit: the answer ends with the container.
      EXPECT_TRUE(Ask("GET", "/containers/logs?follow=1&until_exit=1&id=" + id).complete);
    }
    EXPECT_EQ(Field(id, "status"), "\"exited\"");
    EXPECT_EQ(Field(id, "exit_code"), "137");
  }
}

TEST_F(ContainersTest, ALifeFromRunToRemove) {
  const std::string id =
      Detached("trap 'echo bye; exit 7' TERM; echo hi; while :; do sleep 0.1; done",
               R"(,"name":"life","labels":{"a":"b"})");
  EXPECT_EQ(Field(id, "status"), "\"running\"");
  EXPECT_NE(Field(id, "pid"), "0");
  EXPECT_NE(Ask("GET", "/containers?name=life&status=running&label=a=b").body, "{}\n");
  EXPECT_EQ(Ask("GET", "/containers?status=exited").body, "{}\n");
  EXPECT_EQ(Ask("POST", "/containers/start?id=life").status, 409);
  EXPECT_EQ(Ask("POST", "/containers/remove?id=life").status, 409);
  EXPECT_EQ(Ask("POST", "/images/remove?image=shell").status, 409);

  RawClient follower(daemon_->port());
  follower.Send(Request("GET", "/containers/logs?id=life&follow=1"));
  RawResponse followed = follower.ReceiveHead();
  EXPECT_EQ(follower.ReceiveChunk(&followed), "hi\n");
  EXPECT_EQ(Ask("POST", "/containers/stop?id=life&t=20").body, "Container " + id + " stopped\n");
  EXPECT_EQ(follower.ReceiveChunk(&followed), "bye\n");
  EXPECT_EQ(Field(id, "exit_code"), "7");
  EXPECT_EQ(Ask("POST", "/containers/stop?id=life").body, "Container " + id + " not running\n");
  EXPECT_EQ(Ask("POST", "/containers/kill?id=life").status, 409);

  const RawResponse snapshot = Ask("GET", "/containers/logs?id=" + id.substr(0, 4));
  EXPECT_EQ(snapshot.body, "hi\nbye\n");
  EXPECT_EQ(snapshot.Header("content-length"), "7");
  EXPECT_EQ(Ask("GET", "/containers/logs?id=life&tail=1").body, "bye\n");
  EXPECT_EQ(Ask("GET", "/containers/logs?id=life&tail=0").body, "");

  EXPECT_EQ(Ask("POST", "/containers/start?id=life").body, id + "\n");
  // The follower is still there.
  EXPECT_EQ(follower.ReceiveChunk(&followed), "hi\n");
  EXPECT_EQ(Ask("POST", "/containers/stop?id=life&t=0").body,
            "Container " + id + " killed (timeout)\n");
  EXPECT_EQ(Ask("POST", "/containers/remove?id=life", "", "Accept: application/json\r\n").body,
            "{\"id\":\"" + id + "\",\"message\":\"Container " + id + " removed\"}\n");
  EXPECT_FALSE(follower.ReceiveChunk(&followed).has_value());
  EXPECT_TRUE(followed.complete);
  EXPECT_EQ(Ask("GET", "/containers/logs?id=" + id).status, 404);
}

TEST_F(ContainersTest, CreatedContainersWaitForTheirStart) {
  const RawResponse created = Ask("POST", "/containers/create", Run("echo once"));
  ASSERT_EQ(created.status, 200) << created.body;
  const std::string id = created.body.substr(0, 8);
  EXPECT_EQ(Field(id, "status"), "\"created\"");
  EXPECT_EQ(Ask("POST", "/containers/start?id=" + id).status, 200);
  EXPECT_EQ(Ask("GET", "/containers/logs?follow=1&until_exit=1&id=" + id).body, "once\n");
}

TEST_F(ContainersTest, ShutdownLeavesContainersAlone) {
  const std::string detached = Detached("sleep 60");
  RawClient foreground(daemon_->port()), follower(daemon_->port());
  foreground.Send(Request("POST", "/containers/run", Run("echo begun; sleep 60")));
  RawResponse response = foreground.ReceiveHead();
  EXPECT_EQ(foreground.ReceiveChunk(&response), "begun\n");
  const std::string id = response.Header("x-minibox-container-id");
  follower.Send(Request("GET", "/containers/logs?follow=1&id=" + id));
  RawResponse followed = follower.ReceiveHead();
  EXPECT_EQ(follower.ReceiveChunk(&followed), "begun\n");
  // The second signal does not wait for the foreground run.
  kill(daemon_->pid(), SIGTERM);
  EXPECT_FALSE(follower.ReceiveChunk(&followed).has_value());
  EXPECT_FALSE(followed.complete);
  EXPECT_EQ(daemon_->End(SIGTERM), 0);
  EXPECT_FALSE(foreground.ReceiveChunk(&response).has_value());
  EXPECT_FALSE(response.complete);

  daemon_.reset();
  daemon_ = std::make_unique<Daemon>(scratch_);
  EXPECT_EQ(Field(detached, "status"), "\"running\"");
  EXPECT_EQ(Field(id, "status"), "\"running\"");
  for (const std::string& each : {detached, id}) {
    EXPECT_EQ(Ask("POST", "/containers/remove?force=1&id=" + each).status, 200);
  }
}

TEST_F(ContainersTest, BuildsSayHowTheyEnded) {
  const auto build = [&](const std::string& text, const std::string& headers = "") {
    return Ask("POST", "/containers/build",
               R"({"image":"built","context":")" + (scratch_ / "shell") + R"(","minibox":")" +
                   text + R"(","network":"none"})",
               headers);
  };
  const RawResponse good = build("BASE base.tar.gz\\nBLOCK a\\n  RUN echo hello\\n");
  EXPECT_EQ(good.status, 200) << good.body;
  EXPECT_EQ(good.Header("trailer"), "X-Minibox-Status");
  EXPECT_TRUE(good.body.starts_with("[build] START image=built\n")) << good.body;
  EXPECT_TRUE(good.body.ends_with("\nBuild completed successfully\n")) << good.body;
  EXPECT_EQ(good.trailers.at("x-minibox-status"), "ok");
  const RawResponse bad = build("BASE base.tar.gz\\nBLOCK a\\n  RUN exit 9\\n");
  EXPECT_EQ(bad.status, 200);
  EXPECT_NE(bad.body.find("\nBuild failed: "), std::string::npos) << bad.body;
  EXPECT_EQ(bad.trailers.at("x-minibox-status"), "error");
  const RawResponse lines =
      build("BASE base.tar.gz\\nBLOCK a\\n  RUN echo hello\\n", "Accept: application/x-ndjson\r\n");
  EXPECT_EQ(lines.Header("content-type"), "application/x-ndjson");
  EXPECT_TRUE(lines.body.starts_with("{\"type\":\"log\",\"text\":\"[build] START"));
  EXPECT_NE(lines.body.find("{\"type\":\"result\",\"status\":\"ok\",\"image\":{"),
            std::string::npos);
}

TEST_F(ContainersTest, ABuildEndsWithItsClient) {
  RawClient client(daemon_->port());
  client.Send(Request("POST", "/containers/build",
                      R"({"image":"gone","context":")" + (scratch_ / "shell") +
                          R"(","network":"none","minibox":"BASE base.tar.gz\nBLOCK a\n)"
                          R"(  RUN echo up; sleep 60123\n"})"));
  RawResponse response = client.ReceiveHead();
  ASSERT_EQ(response.status, 200);
  std::string log;
  while (log.find("[a] up\n") == std::string::npos) {
    const auto chunk = client.ReceiveChunk(&response);
    ASSERT_TRUE(chunk.has_value()) << log;
    log += *chunk;
  }
  while (!IsRunning("sleep 60123")) std::this_thread::yield();  // the shell is about to
  client.Close();
  while (IsRunning("sleep 60123")) std::this_thread::yield();
  EXPECT_EQ(daemon_->End(SIGTERM), 0);
  daemon_.reset();
  daemon_ = std::make_unique<Daemon>(scratch_);
  EXPECT_EQ(Ask("GET", "/images").body.find("gone"), std::string::npos);
}

TEST_F(ContainersTest, TheCommandLineFromBuildToRemove) {
  const auto cli = [&](std::vector<std::string> arguments) {
    return daemon_->Cli(std::move(arguments));
  };
  const Finished foreground =
      cli({"run", "--network", "none", "shell", "sh", "-c", "echo out; exit 3"});
  EXPECT_EQ(foreground.status, 3);
  EXPECT_EQ(foreground.out, "out\n");
  EXPECT_EQ(WithoutLimitWarnings(foreground.err),
            "..  Launching container for image shell\n..  Container execution finished.\n");
  EXPECT_EQ(cli({"run", "--network", "none", "shell", "nothing-like-it"}).status, 127);
  EXPECT_EQ(cli({"run", "--network", "none", "shell", "/etc"}).status, 126);
  EXPECT_EQ(cli({"run", "--memory", "x", "shell"}).status, 2);

  const Finished detached = cli({"run", "-d", "--name", "web", "--network", "none", "--cidfile",
                                 scratch_ / "cid", "shell", "sleep", "60"});
  EXPECT_EQ(detached.status, 0) << detached.err;
  ASSERT_EQ(detached.out.size(), 9u) << detached.out;
  EXPECT_EQ(WithoutLimitWarnings(detached.err), "");
  const std::string id = detached.out.substr(0, 8);
  EXPECT_EQ(ReadWholeFile(scratch_ / "cid"), id);
  EXPECT_EQ(cli({"run", "-d", "--name", "web", "--network", "none", "shell"}).status, 125);

  const Finished ps = cli({"ps"});
  EXPECT_NE(ps.out.find("\n" + id), std::string::npos) << ps.out;
  EXPECT_NE(ps.out.find("   sleep 60   "), std::string::npos) << ps.out;
  EXPECT_NE(cli({"ps", "--json", "--filter", "name=web"}).out.find("\"name\": \"web\""),
            std::string::npos);
  EXPECT_EQ(cli({"stop", "-t", "0", "web"}).out, "Container " + id + " killed (timeout)\n");
  EXPECT_EQ(cli({"start", "web"}).out, id + "\n");
  EXPECT_EQ(cli({"kill", "web"}).out, "Container " + id + " killed\n");
  EXPECT_EQ(cli({"logs", "web"}).out, "");
  EXPECT_EQ(cli({"rm", "web", "web"}).status, 1);  // the second is not there any more

  EXPECT_EQ(cli({"tag", "shell", "other:v2"}).out, "Image shell tagged other:v2\n");
  const Finished images = cli({"images"});
  EXPECT_NE(images.out.find("\nother"), std::string::npos) << images.out;
  EXPECT_EQ(cli({"rmi", "other:v2"}).out, "Image other:v2 removed\n");
  EXPECT_EQ(cli({"build", "-t", "bad", "-f", "/dev/null", scratch_ / "shell"}).status, 1);
  scratch_.Write("shell/Bad", "BASE base.tar.gz\nBLOCK a\n  RUN exit 9\n");
  const Finished failed = cli({"build", "-t", "bad", "--network", "none", "-f",
                               scratch_ / "shell/Bad", scratch_ / "shell"});
  EXPECT_EQ(failed.status, 1);
  EXPECT_NE(failed.out.find("exit status 9"), std::string::npos) << failed.out;
  EXPECT_TRUE(failed.err.starts_with("..  Building image bad from Bad\n")) << failed.err;
}

}  // namespace
}  // namespace minibox::testing
