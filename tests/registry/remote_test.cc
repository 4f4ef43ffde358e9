// SPDX-License-Identifier: Apache-2.0
#include "registry/remote.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "minibox/registry.h"
#include "support/http_server.h"

namespace minibox::registry {
namespace {

using ::testing::HasSubstr;
using testing::HttpServer;
using testing::ServedConnection;
using testing::ServedRequest;

std::shared_ptr<HttpClient> Http() { return *HttpClient::Create({}); }

TEST(Remote, LoopbackHosts) {
  for (const char* host : {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5"}) {
    EXPECT_TRUE(IsLoopback(host)) << host;
  }
  for (const char* host :
       {"localhost.example", "128.0.0.1", "example", "[::2]", "127.0.0.1.example"}) {
    EXPECT_FALSE(IsLoopback(host)) << host;
  }
}

TEST(Remote, PlainHttpOnLoopbackAfterTlsHasFailed) {
  std::string seen;
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    seen = request.target;
    connection.Respond(200);
  });
  Remote remote(Http(), std::make_shared<TokenCache>(),
                {.host = server.host(), .repository = "a/b"});
  const auto response = remote.Send({.url = "tags/list"}, {});
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(seen, "/v2/a/b/tags/list");
}

TEST(Remote, OtherHostsAreAskedWithTlsOnly) {
  // No name of a host that is not loopback is asked without TLS; nothing listens there.
  Remote remote(Http(), std::make_shared<TokenCache>(),
                {.host = "minibox.invalid:1", .repository = "a"});
  const auto response = remote.Send({.url = "tags/list"}, {});
  EXPECT_EQ(response.status().reason(), "registry_error");
  EXPECT_THAT(response.status().message(), HasSubstr("https://minibox.invalid"));
}

TEST(Remote, ASecondRefusalIsTheResult) {
  int requests = 0;
  HttpServer server([&](const ServedRequest& request, ServedConnection& connection) {
    if (request.path == "/token") {
      connection.Respond(200, {}, R"({"token":"t"})");
      return;
    }
    ++requests;
    connection.Respond(401, {{"WWW-Authenticate", "Bearer realm=\"/token\""}});
  });
  Remote remote(Http(), std::make_shared<TokenCache>(),
                {.host = server.host(), .base = server.url(), .repository = "a"});
  const auto response = remote.Send({.url = "tags/list"}, {});
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->status, 401);
  EXPECT_EQ(requests, 2);
}

TEST(Remote, OptionsAreChecked) {
  RegistryOptions options;
  options.mirrors = {{"docker.io", "http://mirror.example"}};
  EXPECT_EQ(Registry::CheckOptions(options).field(), "mirrors");
  options.insecure = {"mirror.example"};
  EXPECT_TRUE(Registry::CheckOptions(options).ok());
  options.mirrors = {{"docker.io", "ftp://mirror.example"}};
  EXPECT_EQ(Registry::CheckOptions(options).field(), "mirrors");
  options.mirrors = {{"docker.io", "https://mirror.example/prefix"},
                     {"a", "http://localhost:5000"}};
  EXPECT_TRUE(Registry::CheckOptions(options).ok());
  options.insecure = {"http://a"};
  EXPECT_EQ(Registry::CheckOptions(options).field(), "insecure");
  options = {};
  options.max_parallel_layers = 0;
  EXPECT_EQ(Registry::CheckOptions(options).field(), "max_parallel_layers");
  options = {};
  options.idle_timeout = {};
  EXPECT_EQ(Registry::CheckOptions(options).field(), "idle_timeout");
}

}  // namespace
}  // namespace minibox::registry
