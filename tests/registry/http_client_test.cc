// SPDX-License-Identifier: Apache-2.0
#include "registry/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "core/errors.h"
#include "support/http_server.h"

namespace minibox::registry {
namespace {

using ::testing::HasSubstr;
using testing::HttpServer;
using testing::ServedConnection;
using testing::ServedRequest;

std::shared_ptr<HttpClient> Client(const HttpOptions& options = {}) {
  return *HttpClient::Create(options);
}

TEST(HttpClient, BodiesHeadersAndStatuses) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    connection.Respond(request.path == "/no" ? 404 : 200, {{"X-Thing", " v "}},
                       request.method + request.body);
  });
  const auto client = Client();
  const auto good = client->Send({.url = server.url() + "/yes"}, {});
  ASSERT_TRUE(good.ok()) << good.status().message();
  EXPECT_EQ(good->status, 200);
  EXPECT_EQ(good->body, "GET");
  EXPECT_EQ(good->Header("x-thing"), "v");
  EXPECT_EQ(client->Send({.url = server.url() + "/no"}, {})->status, 404);
  EXPECT_EQ(client->Send({.method = "PUT", .url = server.url(), .body = "b"}, {})->body, "PUTb");
}

TEST(HttpClient, UploadsComeFromACallback) {
  std::string got;
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    got = request.method + request.body;
    connection.Respond(202);
  });
  const std::string content(100'000, 'u');
  HttpRequest request{.method = "PATCH", .url = server.url(), .upload_size = content.size()};
  request.upload = [&](uint64_t offset, char* buffer, size_t size) -> StatusOr<size_t> {
    return content.copy(buffer, size, offset);
  };
  ASSERT_TRUE(Client()->Send(request, {}).ok());
  EXPECT_EQ(got, "PATCH" + content);
}

TEST(HttpClient, ASinksErrorIsTheResult) {
  HttpServer server([](const ServedRequest&, ServedConnection& connection) {
    connection.Respond(200, {}, "body");
  });
  HttpRequest request{.url = server.url()};
  request.sink = [](std::string_view) { return core::DataLoss("no thanks"); };
  EXPECT_EQ(Client()->Send(request, {}).status().message(), "no thanks");
  request.sink = {};
  request.on_head = [](const HttpResponse&) { return core::DataLoss("not even that"); };
  EXPECT_EQ(Client()->Send(request, {}).status().message(), "not even that");
  request.on_head = {};
  request.max_body = 3;
  EXPECT_EQ(Client()->Send(request, {}).status().code(), StatusCode::kDataLoss);
}

TEST(HttpClient, AuthorizationStaysWithItsHost) {
  std::mutex mutex;
  std::vector<std::string> given;
  const auto note = [&](const ServedRequest& request) {
    const std::lock_guard lock(mutex);
    given.push_back(request.target + " " + request.Header("authorization"));
  };
  HttpServer other([&](const ServedRequest& request, ServedConnection& connection) {
    note(request);
    connection.Respond(200);
  });
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    note(request);
    if (request.path == "/a") {
      connection.Respond(302, {{"Location", "b"}});
    } else {
      connection.Respond(307, {{"Location", "http://me:pw@" + other.host() + "/c"}});
    }
  });
  ASSERT_TRUE(Client()->Send({.url = server.url() + "/a", .authorization = "Secret"}, {}).ok());
  EXPECT_THAT(given, ::testing::ElementsAre("/a Secret", "/b Secret", "/c "));
}

TEST(HttpClient, RedirectsThatAreNotFollowed) {
  std::string location;
  HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
    ServedConnection::Headers headers;
    if (!location.empty()) headers.emplace_back("Location", location);
    connection.Respond(302, headers);
  });
  const auto client = Client();
  for (const char* target : {"", "ftp://x/", "file:///etc/passwd", "/"}) {
    location = target;
    const auto response = client->Send({.url = server.url()}, {});
    EXPECT_EQ(response.status().reason(), "registry_error") << target;
  }
  // A POST is not turned into a GET.
  EXPECT_EQ(client->Send({.method = "POST", .url = server.url()}, {})->status, 302);
}

TEST(HttpClient, ConnectionsThatBreak) {
  HttpServer server([](const ServedRequest& request, ServedConnection& connection) {
    if (request.path == "/head") connection.Send("HTTP/1.1 200 OK\r\nContent-Le");
    if (request.path == "/body") connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab");
    if (request.path == "/long") {
      connection.Send("HTTP/1.1 200 OK\r\n");
      for (int i = 0; i < 300 && connection.Send("X: " + std::string(1'000, 'x') + "\r\n"); ++i) {
      }
    }
    connection.Close();
  });
  const auto client = Client();
  for (const char* path : {"/none", "/head", "/body", "/long"}) {
    const auto response = client->Send({.url = server.url() + path}, {});
    EXPECT_EQ(response.status().code(), StatusCode::kUnavailable) << path;
    EXPECT_EQ(response.status().reason(), "registry_error");
  }
  EXPECT_EQ(client->Send({.url = "http://127.0.0.1:1/"}, {}).status().code(),
            StatusCode::kUnavailable);
}

TEST(HttpClient, SilenceEndsAndStopsEndAtOnce) {
  std::atomic<int> waiting = 0;
  HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
    ++waiting;
    waiting.notify_all();
    connection.AwaitEnd();
  });
  const auto impatient = Client({.idle_timeout = std::chrono::milliseconds(50)});
  const auto silent = impatient->Send({.url = server.url()}, {});
  EXPECT_EQ(silent.status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_THAT(silent.status().message(), HasSubstr("no byte for 50ms"));
  std::stop_source stop;
  std::thread stopper([&] {
    waiting.wait(1);
    stop.request_stop();
  });
  EXPECT_EQ(Client()->Send({.url = server.url()}, stop.get_token()).status().code(),
            StatusCode::kCancelled);
  stopper.join();
}

TEST(HttpClient, ProxiesAreUsedForTheirSchemeAndNotForWhatIsExcepted) {
  std::string seen;
  HttpServer proxy([&](const ServedRequest& request, ServedConnection& connection) {
    seen = request.target;
    connection.Respond(200, {}, "by proxy");
  });
  HttpServer server([&](const ServedRequest&, ServedConnection& connection) {
    connection.Respond(200, {}, "direct");
  });
  HttpOptions options{.http_proxy = proxy.url()};
  EXPECT_EQ(Client(options)->Send({.url = server.url() + "/x"}, {})->body, "by proxy");
  EXPECT_EQ(seen, server.url() + "/x");
  options.no_proxy = "127.0.0.1";
  EXPECT_EQ(Client(options)->Send({.url = server.url()}, {})->body, "direct");
  // The environment is the host program's, not ours.
  setenv("http_proxy", proxy.url().c_str(), 1);
  EXPECT_EQ(Client()->Send({.url = server.url()}, {})->body, "direct");
  unsetenv("http_proxy");
}

TEST(HttpClient, Urls) {
  EXPECT_EQ(*ResolveUrl("https://a/b/c?d", "/e?f#g"), "https://a/e?f");
  EXPECT_EQ(*ResolveUrl("https://a/b/c", "https://u:p@h:5/x"), "https://h:5/x");
  EXPECT_FALSE(ResolveUrl("https://a/", "gopher://x/").ok());
  EXPECT_EQ(OriginOf("https://A.b/")->port, 443);
  EXPECT_EQ(OriginOf("http://[::1]:5/")->host, "[::1]");
  EXPECT_FALSE(OriginOf("a b").ok());
  EXPECT_EQ(PercentEncode("a:b/c d"), "a%3Ab%2Fc%20d");
}

}  // namespace
}  // namespace minibox::registry
