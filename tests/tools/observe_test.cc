// SPDX-License-Identifier: Apache-2.0
// Inspect, logs, stats, top, changes and metrics over HTTP and through the command line.
#include <gmock/gmock.h>

#include "tools/observe_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::HasSubstr;

constexpr char kJson[] = "Accept: application/json\r\n";

class ObserveApiTest : public ObserveTest {
 protected:
  // Runs until it has said so.
  std::string Running(const std::string& more = "") {
    const std::string id = Detached("echo ready; exec sleep 1000", more);
    RawClient log(daemon_->port());
    EXPECT_TRUE(log.Send(Request("GET", "/containers/logs?follow=1&id=" + id)));
    RawResponse head = log.ReceiveHead();
    std::string text;
    while (text.find("ready") == std::string::npos) {
      const auto chunk = log.ReceiveChunk(&head);
      if (!chunk) break;
      text += *chunk;
    }
    return id;
  }
};

TEST_F(ObserveApiTest, Inspect) {
  const std::string id = Running(R"(,"name":"web","memory":64)");
  const RawResponse inspect = Ask("GET", "/containers/inspect?id=web&size=1");
  EXPECT_EQ(inspect.status, 200) << inspect.body;
  for (const char* part :
       {R"("status":"running")", R"("config":{"image":"shell")", R"("mounts":[])",
        R"("memory_bytes":67108864)", R"("capabilities":["CAP_)", R"("cgroup":"/)",
        R"("log_path":"/)", R"("size_rw":)", R"("warnings":[)"}) {
    EXPECT_THAT(inspect.body, HasSubstr(part));
  }
  EXPECT_EQ(Ask("GET", "/containers/inspect?id=nope").status, 404);
  EXPECT_EQ(Ask("GET", "/containers/inspect").status, 400);
  const Finished cli = daemon_->Cli({"inspect", "web"});
  EXPECT_EQ(cli.status, 0) << cli.err;
  EXPECT_THAT(cli.out, HasSubstr("\"name\": \"web\""));
  EXPECT_EQ(daemon_->Cli({"inspect", "web", "nope"}).status, 1);
  Remove(id);
}

TEST_F(ObserveApiTest, PartsOfLogs) {
  const std::string id = Ended("echo one; echo bad >&2; echo two");
  const std::string logs = "/containers/logs?id=" + id;
  const std::string whole = Ask("GET", logs).body;
  EXPECT_EQ(whole.size(), 12u) << whole;
  EXPECT_EQ(Ask("GET", logs + "&stream=stderr").body, "bad\n");
  EXPECT_EQ(Ask("GET", logs + "&stream=stdout&tail=1").body, "two\n");
  EXPECT_EQ(Ask("GET", logs + "&since=1h").body, whole);
  EXPECT_EQ(Ask("GET", logs + "&until=1h").body, "");
  EXPECT_THAT(Ask("GET", logs + "&timestamps=1").body, HasSubstr("Z one\n"));
  for (const std::string bad : {"since", "until", "stream", "timestamps"}) {
    const RawResponse answer = Ask("GET", logs + "&" + bad + "=nonsense", "", kJson);
    EXPECT_EQ(answer.status, 400) << bad;
    EXPECT_THAT(answer.body, HasSubstr("\"field\":\"" + bad + "\""));
  }

  const RawResponse part = Ask("GET", logs, "", "Range: bytes=1-3\r\n");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, whole.substr(1, 3));
  EXPECT_EQ(part.Header("content-range"), "bytes 1-3/12");
  EXPECT_EQ(Ask("GET", logs, "", "Range: bytes=-4\r\n").body, whole.substr(8));
  EXPECT_EQ(Ask("GET", logs, "", "Range: bytes=8-\r\n").body, whole.substr(8));
  EXPECT_EQ(Ask("GET", logs, "", "Range: bytes=0-1,4-5\r\n").status, 200);
  const RawResponse beyond = Ask("GET", logs, "", "Range: bytes=12-\r\n");
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.Header("content-range"), "bytes */12");
  const RawResponse head = Ask("HEAD", logs);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.Header("content-length"), "12");
  const std::string modified = head.Header("last-modified");
  EXPECT_THAT(modified, HasSubstr(" GMT"));
  EXPECT_EQ(Ask("HEAD", logs, "", "If-Modified-Since: " + modified + "\r\n").status, 304);
  EXPECT_EQ(Ask("GET", logs, "", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").status,
            200);

  const Finished cli = daemon_->Cli({"logs", "-t", "--tail", "1", "--since", "1h", id});
  EXPECT_EQ(cli.status, 0) << cli.err;
  EXPECT_THAT(cli.out, HasSubstr("Z "));  // the order of the streams is the pipes'
  Remove(id);
}

TEST_F(ObserveApiTest, StatsAndTop) {
  const std::string id = Running(R"(,"name":"web")");
  const RawResponse one = Ask("GET", "/containers/stats?id=web");
  EXPECT_EQ(one.status, 200) << one.body;
  EXPECT_THAT(one.body, HasSubstr("\"id\":\"" + id + "\",\"name\":\"web\""));
  EXPECT_THAT(one.body, HasSubstr("\"cpu_percent\":"));
  const RawResponse all = Ask("GET", "/containers/stats?all=1");
  EXPECT_EQ(all.body.front(), '[');
  const RawResponse top = Ask("GET", "/containers/top?id=web");
  EXPECT_THAT(top.body, HasSubstr(R"("command":"sleep 1000")"));
  EXPECT_THAT(top.body, HasSubstr(R"("container_pid":1,)"));

  EXPECT_EQ(Ask("GET", "/containers/stats").status, 400);
  EXPECT_EQ(Ask("GET", "/containers/stats?all=1&id=web").status, 400);
  EXPECT_EQ(Ask("GET", "/containers/stats?id=nope").status, 404);
  EXPECT_EQ(Ask("GET", "/containers/stats?id=web&interval=0.01").status, 400);

  RawClient client(daemon_->port());
  ASSERT_TRUE(client.Send(Request("GET", "/containers/stats?id=web&stream=1&interval=0.1")));
  RawResponse stream = client.ReceiveHead();
  EXPECT_EQ(stream.status, 200);
  EXPECT_EQ(stream.Header("content-type"), "application/x-ndjson");
  EXPECT_TRUE(client.ReceiveChunk(&stream).has_value());
  EXPECT_TRUE(client.ReceiveChunk(&stream).has_value());

  const Finished table = daemon_->Cli({"stats", "--no-stream"});
  EXPECT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("MEM USAGE / LIMIT"));
  EXPECT_THAT(table.out, HasSubstr("Unlimited"));
  EXPECT_THAT(daemon_->Cli({"top", "web"}).out, HasSubstr("sleep 1000"));
  EXPECT_EQ(daemon_->Cli({"port", "web"}).out, "");

  EXPECT_EQ(Ask("POST", "/containers/kill?id=web").status, 200);
  // The stream ends with the container.
  while (client.ReceiveChunk(&stream)) {
  }
  EXPECT_TRUE(stream.complete);
  EXPECT_EQ(Ask("GET", "/containers/stats?id=web").status, 409);
  EXPECT_EQ(Ask("GET", "/containers/top?id=web").status, 409);
  EXPECT_EQ(daemon_->Cli({"stats", "web", "--no-stream"}).status, 1);
  Remove(id);
}

TEST_F(ObserveApiTest, ChangesImagesAndTars) {
  const std::string id = Ended("echo kept > /kept");
  EXPECT_EQ(Ask("GET", "/containers/diff?id=" + id).body,
            "[{\"path\":\"/kept\",\"kind\":\"A\"}]\n");
  const RawResponse commit = Ask("POST", "/containers/commit?id=" + id + "&image=made",
                                 R"({"changes":["CMD [\"cat\",\"/kept\"]"]})");
  EXPECT_EQ(commit.status, 200) << commit.body;
  EXPECT_THAT(commit.body, HasSubstr(R"("name":"made")"));
  EXPECT_EQ(daemon_->Cli({"run", "--rm", "--network", "none", "made"}).out, "kept\n");
  EXPECT_EQ(
      Ask("POST", "/containers/commit?id=" + id + "&image=made", R"({"changes":["RUN x"]})").status,
      400);
  EXPECT_EQ(Ask("POST", "/containers/commit?id=" + id).status, 400);
  const RawResponse tar = Ask("GET", "/containers/export?id=" + id);
  EXPECT_EQ(tar.status, 200);
  EXPECT_EQ(tar.Header("content-type"), "application/x-tar");
  EXPECT_TRUE(tar.complete);
  EXPECT_THAT(tar.body, HasSubstr("kept"));

  EXPECT_EQ(daemon_->Cli({"diff", id}).out, "A /kept\n");
  EXPECT_EQ(daemon_->Cli({"commit", "-m", "why", id, "made:2"}).status, 0);
  EXPECT_EQ(daemon_->Cli({"export", "-o", scratch_ / "root.tar", id}).status, 0);
  EXPECT_EQ(ReadWholeFile(scratch_ / "root.tar"), tar.body);
  Remove(id);
}

TEST_F(ObserveApiTest, Metrics) {
  const std::string id = Running();
  const RawResponse metrics = Ask("GET", "/metrics");
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.Header("content-type"), HasSubstr("version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("minibox_containers{status=\"running\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("minibox_container_pids{id=\"" + id + "\""));
  EXPECT_THAT(metrics.body,
              HasSubstr("minibox_http_requests_total{method=\"POST\",route=\"/containers/run\","
                        "code=\"200\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("le=\"+Inf\"}"));
  Remove(id);
}

}  // namespace
}  // namespace minibox::testing
