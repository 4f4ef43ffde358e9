// SPDX-License-Identifier: Apache-2.0
// The HTTP server with handlers of the test, spoken to in raw bytes.
#include "server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "tools/raw_client.h"

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::testing::RawClient;
using minibox::testing::RawResponse;

constexpr std::string_view kHost = "Host: localhost\r\n";
constexpr size_t kEchoLimit = 1 << 20;

std::string Get(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\n" + std::string(kHost) + std::string(more) +
         "\r\n";
}

class ServerTest : public ::testing::Test {
 protected:
  void StartWith(int max_connections) {
    auto server =
        Server::Start({.host = "127.0.0.1", .port = 0, .max_connections = max_connections},
                      [this](Exchange& exchange) { Handle(exchange); });
    ASSERT_TRUE(server.ok()) << server.status().ToString();
    server_ = std::move(*server);
  }
  void SetUp() override { StartWith(64); }

  RawResponse Ask(std::string_view request, bool to_head = false) {
    return RawClient::Ask(server_->port(), request, to_head);
  }

  // Waits until a handler of /hold is inside, or has left.
  void WaitFor(int holding) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(20), [&] { return holding_ == holding; }));
  }
  void Release() {
    std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

  void Handle(Exchange& exchange) {
    const std::string path(exchange.head().path());
    if (path == "/echo") {
      const auto body = exchange.ReadBody(kEchoLimit);
      return body.ok() ? exchange.Send(200, kText, *body) : exchange.SendError(body.status());
    }
    if (path == "/target") return exchange.Send(200, kText, exchange.head().target);
    if (path == "/local") return exchange.Send(200, kText, exchange.head().local_address);
    if (path == "/stream" || path == "/broken") {
      ResponseStream stream = exchange.BeginStream(kText, {"X-Result"});
      for (const char* part : {"one ", "", "two ", "three"}) (void)stream.Write(part);
      if (path == "/stream") (void)stream.End({{"X-Result", "fine\r\nX-Evil: 1"}});
      return;
    }
    if (path == "/hold") {
      std::optional<ResponseStream> stream;
      if (exchange.head().query() == "stream") stream.emplace(exchange.BeginStream(kText));
      if (stream) (void)stream->Write("begun");
      std::unique_lock lock(mutex_);
      ++holding_;
      changed_.notify_all();
      const std::stop_callback wake(exchange.gone(), [this] {
        std::lock_guard inner(mutex_);
        changed_.notify_all();
      });
      changed_.wait(lock, [&] { return released_ || exchange.gone().stop_requested(); });
      saw_gone_ = exchange.gone().stop_requested();
      --holding_;
      changed_.notify_all();
      lock.unlock();
      if (!stream) exchange.Send(200, kText, "held");
      if (stream) (void)stream->End();
      return;
    }
    if (path == "/flood") {
      ResponseStream stream = exchange.BeginStream(kText);
      const std::string piece(1 << 20, 'x');
      Status sent;
      for (int i = 0; i < 32 && sent.ok(); ++i) sent = stream.Write(piece);
      if (sent.ok()) (void)stream.End();
      return;
    }
    if (path == "/silent") return;
    exchange.SendError(HttpError{404, "route_not_found", "no", {}});
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int holding_ = 0;
  bool released_ = false, saw_gone_ = false;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, EveryAnswerForbidsSniffingAndCaching) {
  for (const std::string& request :
       {Get("/target"), Get("/none"), Get("/stream"), std::string("nonsense\r\n\r\n"),
        Get("/" + std::string(9000, 'a')), Get("/target", "Bad Header: x\r\n")}) {
    const RawResponse response = Ask(request);
    EXPECT_NE(response.status, 0) << request.substr(0, 60);
    EXPECT_EQ(response.Header("x-content-type-options"), "nosniff") << request.substr(0, 60);
    EXPECT_EQ(response.Header("cache-control"), "no-store") << request.substr(0, 60);
    EXPECT_EQ(response.Header("content-type"), "text/plain; charset=utf-8");
    EXPECT_TRUE(response.complete);
  }
}

TEST_F(ServerTest, ErrorsAreJsonForWhoAsksForIt) {
  const RawResponse text = Ask(Get("/none"));
  EXPECT_EQ(text.status, 404);
  EXPECT_EQ(text.body, "no\n");
  const RawResponse json = Ask(Get("/none", "Accept: application/json\r\n"));
  EXPECT_EQ(json.Header("content-type"), "application/json");
  EXPECT_EQ(json.body, "{\"error\":{\"code\":\"route_not_found\",\"message\":\"no\"}}\n");
  // Also before there is a handler.
  const RawResponse early = Ask(Get("/", "Accept: application/json\r\nContent-Length: x\r\n"));
  EXPECT_EQ(early.status, 400);
  EXPECT_TRUE(early.body.starts_with("{\"error\":{\"code\":\"invalid_request\"")) << early.body;
}

TEST_F(ServerTest, MalformedHeadsAre400AndTheConnectionCloses) {
  const std::string host(kHost);
  const std::string kBad[] = {
      "nonsense\r\n\r\n",
      "GET /target\r\n\r\n",
      "GET  HTTP/1.1\r\n" + host + "\r\n",
      "GET /target HTTP/1.1\r\n\r\n",
      "GET /target HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
      "GET /target HTTP/1.1\n"
      "Host: localhost\n\n",
      "GET /target HTTP/1.1\r\n" + host + "a: b\nc: d\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + "Name : value\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + "a: b\r\n folded\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + ": empty\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + "no colon\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + "a: \x01\r\n\r\n",
      "GET /target HTTP/1.1\r\n" + host + "a\x80: b\r\n\r\n",
      "POST /echo HTTP/1.1\r\n" + host +
          "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
      "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
      "POST /echo HTTP/1.1\r\n" + host + "Content-Length: 3x\r\n\r\nabc",
      "POST /echo HTTP/1.1\r\n" + host + "Content-Length: -3\r\n\r\n",
      "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip\r\n\r\n",
      "POST /echo HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      // A header hidden behind a line that does not parse.
      "POST /echo HTTP/1.1\r\n" + host + "(x\r\nContent-Length: 3\r\n\r\nabc",
  };
  for (const std::string& request : kBad) {
    RawClient client(server_->port());
    client.Send(request);
    const RawResponse response = client.Receive();
    EXPECT_EQ(response.status, 400) << request;
    EXPECT_EQ(response.Header("connection"), "close") << request;
    EXPECT_TRUE(client.AtEnd()) << request;
  }
  EXPECT_EQ(Ask("GET /target HTTP/2.0\r\nHost: localhost\r\n\r\n").status, 505);
  EXPECT_EQ(Ask(Get("/target", "Expect: wonders\r\n")).status, 417);
}

TEST_F(ServerTest, AHeadMayHave16KiB) {
  const std::string start = "GET /target HTTP/1.1\r\nHost: localhost\r\nX-Fill: ";
  const std::string end = "\r\n\r\n";
  const auto of_size = [&](size_t size) {
    return start + std::string(size - start.size() - end.size(), 'f') + end;
  };
  EXPECT_EQ(Ask(of_size(kMaxHead)).status, 200);
  const RawResponse too_large = Ask(of_size(kMaxHead + 1));
  EXPECT_EQ(too_large.status, 431);
  EXPECT_EQ(too_large.Header("connection"), "close");
  EXPECT_EQ(Ask(of_size(100000)).status, 431);
  // The limit counts from the beginning of each request of a connection.
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(of_size(10000));
    EXPECT_EQ(client.Receive().status, 200);
  }
  client.Send(of_size(kMaxHead + 1));
  EXPECT_EQ(client.Receive().status, 431);
}

TEST_F(ServerTest, ManyHeadersPassAndTooManyAre431) {
  const auto with = [](int count) {
    std::string headers;
    for (int i = 0; i < count; ++i) headers += "X-" + std::to_string(i) + ": v\r\n";
    return Get("/target", headers);
  };
  EXPECT_EQ(Ask(with(63)).status, 200);
  EXPECT_EQ(Ask(with(64)).status, 431);
  EXPECT_EQ(Ask(with(200)).status, 431);
}

TEST_F(ServerTest, TargetsAreLimitedTo8KiBAndLeftAsTheyAre) {
  const std::string longest = "/target?" + std::string(kMaxTarget - 8, 'a');
  EXPECT_EQ(Ask(Get(longest)).body, longest);
  EXPECT_EQ(Ask(Get(longest + "a")).status, 414);
  EXPECT_EQ(Ask(Get("/target?a=%2F..%00&b=+?c")).body, "/target?a=%2F..%00&b=+?c");
  const std::string port = std::to_string(server_->port());
  EXPECT_EQ(Ask(Get("http://localhost:" + port + "/target?q")).body, "/target?q");
  EXPECT_EQ(Ask(Get("/local")).body, "127.0.0.1");
}

TEST_F(ServerTest, ConnectionsAreKept) {
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab");
    const RawResponse response = client.Receive();
    EXPECT_EQ(response.body, "ab");
    EXPECT_EQ(response.Header("connection"), "");
  }
  client.Send(Get("/target", "Connection: close\r\n"));
  EXPECT_EQ(client.Receive().Header("connection"), "close");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  RawClient client(server_->port());
  client.Send(Get("/target?1") +
              "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\ntwo" +
              "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nthr\r\n2\r\nee\r\n0\r\n\r\n" +
              Get("/stream") + Get("/target?5"));
  EXPECT_EQ(client.Receive().body, "/target?1");
  EXPECT_EQ(client.Receive().body, "two");
  EXPECT_EQ(client.Receive().body, "three");
  EXPECT_EQ(client.Receive().body, "one two three");
  EXPECT_EQ(client.Receive().body, "/target?5");
}

TEST_F(ServerTest, ChunkedBodiesAreReadInAnyPieces) {
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
  RawClient client(server_->port());
  client.Send(head);
  for (const char* bytes : {"4", "\r", "\nWi", "ki\r\n5\r\npedia\r\n", "0\r\n", "\r\n"}) {
    client.Send(bytes);
  }
  EXPECT_EQ(client.Receive().body, "Wikipedia");
  for (const char* broken : {"x\r\n", "3\r\nabcd\r\n0\r\n\r\n", "-1\r\n\r\n"}) {
    EXPECT_EQ(Ask(head + broken).status, 400) << broken;
  }
  const std::string mib(1 << 20, 'm');
  EXPECT_EQ(Ask(head + "100000\r\n" + mib + "\r\n0\r\n\r\n").body.size(), mib.size());
  EXPECT_EQ(Ask(head + "100000\r\n" + mib + "\r\n1\r\nx\r\n0\r\n\r\n").status, 413);
}

TEST_F(ServerTest, TooLargeBodiesAre413AndTheAnswerArrives) {
  RawClient declared(server_->port());
  declared.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\nbegun");
  const RawResponse response = declared.Receive();
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(response.Header("connection"), "close");
  EXPECT_TRUE(declared.AtEnd());
  // The client that sends it all before it reads sees the answer, not a reset.
  RawClient eager(server_->port());
  const std::string body(8 << 20, 'x');
  eager.Send("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_TRUE(eager.Send(body));
  EXPECT_EQ(eager.Receive().status, 413);
}

TEST_F(ServerTest, UnreadBodiesEndTheConnection) {
  RawClient client(server_->port());
  client.Send("POST /none HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\n" +
              Get("/target"));
  EXPECT_EQ(client.Receive().status, 404);
  EXPECT_TRUE(client.AtEnd());  // the body is not taken for a request
}

TEST_F(ServerTest, TheBodyIsAskedForWhenItIsWanted) {
  const std::string head =
      " HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ";
  RawClient wanted(server_->port());
  wanted.Send("POST /echo" + head + "4\r\n\r\n");
  EXPECT_EQ(wanted.Receive().status, 100);
  wanted.Send("body");
  EXPECT_EQ(wanted.Receive().body, "body");
  for (const std::string& request :
       {"POST /none" + head + "4\r\n\r\n", "POST /echo" + head + "9000000\r\n\r\n"}) {
    const RawResponse refused = Ask(request);
    EXPECT_TRUE(refused.status == 404 || refused.status == 413) << refused.status;
    EXPECT_EQ(refused.Header("connection"), "close");
  }
}

TEST_F(ServerTest, HeadGetsTheHeadAlone) {
  RawClient client(server_->port());
  client.Send("HEAD /target HTTP/1.1\r\nHost: localhost\r\n\r\n" +
              std::string("HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n") + Get("/target"));
  const RawResponse sized = client.Receive(/*to_head=*/true);
  EXPECT_EQ(sized.Header("content-length"), "7");
  const RawResponse stream = client.Receive(/*to_head=*/true);
  EXPECT_EQ(stream.Header("transfer-encoding"), "chunked");
  EXPECT_EQ(client.Receive().body, "/target");
}

TEST_F(ServerTest, Http10ClientsGetPlainBodiesAndAClosedConnection) {
  const RawResponse sized = Ask("GET /target HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(sized.body, "/target");
  EXPECT_EQ(sized.Header("connection"), "close");
  RawClient client(server_->port());
  client.Send("GET /stream HTTP/1.0\r\n\r\n");
  const RawResponse stream = client.Receive();
  EXPECT_EQ(stream.body, "one two three");
  EXPECT_EQ(stream.Header("transfer-encoding"), "");
  EXPECT_EQ(stream.Header("trailer"), "");
  EXPECT_TRUE(client.AtEnd());
}

TEST_F(ServerTest, StreamsEndWithTheirTrailers) {
  const RawResponse response = Ask(Get("/stream"));
  EXPECT_EQ(response.Header("trailer"), "X-Result");
  EXPECT_EQ(response.body, "one two three");
  EXPECT_TRUE(response.complete);
  ASSERT_EQ(response.trailers.size(), 1u);  // the value could not add another
  EXPECT_EQ(response.trailers.at("x-result"), "fine\\x0d\\x0aX-Evil: 1");
}

TEST_F(ServerTest, BrokenStreamsAreSeenToBeBroken) {
  RawClient client(server_->port());
  client.Send(Get("/broken"));
  const RawResponse response = client.Receive();
  EXPECT_EQ(response.body, "one two three");
  EXPECT_FALSE(response.complete);
  EXPECT_TRUE(client.AtEnd());
  EXPECT_EQ(Ask(Get("/silent")).status, 0);
}

TEST_F(ServerTest, AClientThatGoesAwayIsNoticed) {
  for (const bool half : {false, true}) {
    RawClient client(server_->port());
    client.Send(Get("/hold?stream"));
    EXPECT_EQ(client.ReceiveHead().status, 200);
    WaitFor(1);
    if (half) {
      client.HalfClose();
    } else {
      client.Close();
    }
    WaitFor(0);
    EXPECT_TRUE(saw_gone_);
    saw_gone_ = false;
  }
}

TEST_F(ServerTest, PipelinedBytesDoNotHideThatTheClientIsGone) {
  RawClient client(server_->port());
  client.Send(Get("/hold?stream") + Get("/target"));
  WaitFor(1);
  client.Close();
  WaitFor(0);
  EXPECT_TRUE(saw_gone_);
}

TEST_F(ServerTest, AClientThatOnlyStoppedSendingGetsItsAnswer) {
  RawClient client(server_->port());
  client.Send(Get("/target"));
  client.HalfClose();
  EXPECT_EQ(client.Receive().body, "/target");
}

TEST_F(ServerTest, ASlowReaderLosesNothing) {
  RawClient client(server_->port());
  client.Send(Get("/flood"));
  RawResponse response = client.ReceiveHead();
  size_t total = 0;
  while (auto chunk = client.ReceiveChunk(&response)) total += chunk->size();
  EXPECT_EQ(total, size_t{32} << 20);
  EXPECT_TRUE(response.complete);
  // One that never reads is given up once it is gone.
  RawClient stuck(server_->port());
  stuck.Send(Get("/flood"));
  EXPECT_EQ(stuck.ReceiveHead().status, 200);
  stuck.Close();
  EXPECT_TRUE(server_->WaitUntilIdle(std::chrono::seconds(20)));
}

TEST_F(ServerTest, ConnectionsBeyondTheLimitAreTurnedAway) {
  server_.reset();
  StartWith(2);
  RawClient first(server_->port()), second(server_->port());
  first.Send(Get("/hold?stream"));
  second.Send(Get("/hold?stream"));
  WaitFor(2);
  for (int i = 0; i < 3; ++i) {
    const RawResponse refused = Ask(Get("/target"));
    EXPECT_EQ(refused.status, 503);
    EXPECT_EQ(refused.Header("retry-after"), "1");
    EXPECT_EQ(refused.Header("connection"), "close");
    EXPECT_EQ(refused.body, "too many connections\n");
  }
  Release();
  EXPECT_TRUE(first.Receive().complete);
  EXPECT_TRUE(second.Receive().complete);
}

TEST_F(ServerTest, IdleConnectionsAreNotKeptNearTheLimit) {
  server_.reset();
  StartWith(4);
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 4; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->Send(Get("/target"));
    EXPECT_EQ(clients.back()->Receive().Header("connection"), i < 3 ? "" : "close") << i;
  }
}

TEST_F(ServerTest, StoppingLetsRequestsFinishAndTakesNoOthers) {
  RawClient running(server_->port()), idle(server_->port());
  idle.Send(Get("/target"));
  EXPECT_EQ(idle.Receive().status, 200);
  running.Send(Get("/hold"));
  WaitFor(1);
  server_->StopAccepting();
  EXPECT_EQ(Ask(Get("/target")).status, 0);
  EXPECT_FALSE(server_->WaitUntilIdle(std::chrono::milliseconds(10)));
  Release();
  const RawResponse response = running.Receive();
  EXPECT_EQ(response.body, "held");
  EXPECT_EQ(response.Header("connection"), "close");
  EXPECT_TRUE(server_->WaitUntilIdle(std::chrono::seconds(20)));
  const auto begin = std::chrono::steady_clock::now();
  server_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_TRUE(idle.AtEnd());
}

TEST_F(ServerTest, ATakenPortIsAnError) {
  const auto second = Server::Start({.host = "127.0.0.1", .port = server_->port()}, {});
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().message().find("cannot listen on 127.0.0.1:"), std::string::npos);
}

TEST_F(ServerTest, ManyClientsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      RawClient client(server_->port());
      for (int j = 0; j < 50; ++j) {
        client.Send(Get("/target?" + std::to_string(j)));
        if (client.Receive().body == "/target?" + std::to_string(j)) ++good;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 400);
}

}  // namespace
}  // namespace miniboxd
