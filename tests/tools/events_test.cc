// SPDX-License-Identifier: Apache-2.0
// GET /events and `minibox events` (spec §4.5, §5.7).
#include <signal.h>

#include "tools/observe_fixture.h"

namespace minibox::testing {
namespace {

class EventsApiTest : public ObserveTest {};

TEST_F(EventsApiTest, PastEventsAndTheEnd) {
  Remove(Ended("exit 3", R"(,"name":"web")"));
  const RawResponse past = Ask("GET", "/events?since=0&until=10000d&container=web");
  EXPECT_EQ(past.status, 400) << "d is no unit";
  const RawResponse told = Ask("GET", "/events?since=0&until=0s&type=container&container=web");
  EXPECT_EQ(told.status, 200);
  EXPECT_EQ(told.Header("content-type"), "application/x-ndjson");
  EXPECT_TRUE(told.complete);
  for (const char* type : {"create", "start", "die", "remove"}) {
    EXPECT_NE(told.body.find("\"type\":\"container." + std::string(type) + "\""), std::string::npos)
        << told.body;
  }
  EXPECT_NE(told.body.find(R"("exit_code":"3")"), std::string::npos) << told.body;
  const RawResponse daemon = Ask("GET", "/events?since=1h&until=0s&type=daemon.start");
  EXPECT_NE(daemon.body.find(R"("type":"daemon.start")"), std::string::npos) << daemon.body;
  const RawResponse build = Ask("GET", "/events?since=1h&until=0s&image=shell&type=image");
  EXPECT_NE(build.body.find(R"("type":"image.build")"), std::string::npos) << build.body;
}

TEST_F(EventsApiTest, LiveEventsUntilTheDaemonEnds) {
  RawClient client(daemon_->port());
  ASSERT_TRUE(client.Send(Request("GET", "/events?type=volume")));
  RawResponse head = client.ReceiveHead();
  EXPECT_EQ(head.status, 200);
  // Whoever has the head misses nothing.
  EXPECT_EQ(Ask("POST", "/volumes/create?name=data").status, 200);
  const auto line = client.ReceiveChunk(&head);
  ASSERT_TRUE(line.has_value());
  EXPECT_NE(line->find(R"("type":"volume.create","id":"data")"), std::string::npos) << *line;
  EXPECT_EQ(daemon_->End(SIGTERM), 0);
  EXPECT_FALSE(client.ReceiveChunk(&head).has_value());
  EXPECT_FALSE(head.complete);
}

TEST_F(EventsApiTest, BadParametersAreNamed) {
  for (const std::string bad : {"since", "until"}) {
    const RawResponse answer =
        Ask("GET", "/events?" + bad + "=yesterday", "", "Accept: application/json\r\n");
    EXPECT_EQ(answer.status, 400);
    EXPECT_NE(answer.body.find("\"field\":\"" + bad + "\""), std::string::npos) << answer.body;
  }
  EXPECT_EQ(Ask("POST", "/events").status, 405);
}

TEST_F(EventsApiTest, TheCommandPrintsThem) {
  const std::string id = Ended("exit 0", R"(,"name":"web")");
  Remove(id);
  const std::vector<std::string> past = {"events", "--since", "1h", "--until", "0s"};
  const Finished text = daemon_->Cli(past);
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_NE(text.out.find(" container.remove " + id + " (image=shell, name=web)\n"),
            std::string::npos)
      << text.out;
  std::vector<std::string> json = past;
  json.insert(json.end(), {"--json", "--filter", "type=container.die"});
  const Finished lines = daemon_->Cli(json);
  EXPECT_EQ(lines.status, 0);
  EXPECT_TRUE(lines.out.starts_with("{\"seq\":")) << lines.out;
  EXPECT_EQ(daemon_->Cli({"events", "--since", "nonsense"}).status, 1);
  EXPECT_EQ(daemon_->Cli({"events", "--filter", "nonsense"}).status, 2);
}

}  // namespace
}  // namespace minibox::testing
