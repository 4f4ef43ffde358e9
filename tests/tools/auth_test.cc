// SPDX-License-Identifier: Apache-2.0
#include "auth.h"

#include <gtest/gtest.h>

namespace miniboxd {
namespace {

RequestHead From(const std::string& host, std::vector<Header> more = {}) {
  RequestHead head{.method = "GET", .target = "/ping"};
  head.local_address = "192.0.2.7";
  head.headers = std::move(more);
  if (!host.empty()) head.headers.push_back({"Host", host});
  return head;
}

std::string Guard(const RequestHead& head) {
  const auto error = CheckOrigin(head, {"mini.example", ".box.example"});
  return error ? error->code : "ok";
}

TEST(Guard, HostsOfThisMachinePass) {
  for (const char* host : {"localhost", "LocalHost:8080", "a.localhost", "127.0.0.1", "127.1.2.3:1",
                           "[::1]:8080", "[::1]", "192.0.2.7", "192.0.2.7:80", "mini.example",
                           "MINI.example:9", "a.box.example", "a.b.box.example"}) {
    EXPECT_EQ(Guard(From(host)), "ok") << host;
  }
}

TEST(Guard, OtherHostsAreRefused) {
  for (const char* host : {"evil.example",
                           "localhost.evil.example",
                           "notlocalhost",
                           "192.0.2.8",
                           "10.0.0.1",
                           "127.1",
                           "0x7f000001",
                           "2130706433",
                           "127.0.0.1.evil.example",
                           "[::2]",
                           "[::1",
                           "box.example",
                           "notbox.example",
                           "localhost:x",
                           "localhost:80:80",
                           "localhost:99999",
                           "user@localhost",
                           "local host",
                           "",
                           "[127.0.0.1]",
                           "::1"}) {
    RequestHead head = From("x");
    head.headers.back().value = host;
    EXPECT_EQ(Guard(head), "host_not_allowed") << host;
  }
}

TEST(Guard, OnlyTheAddressedOriginPasses) {
  const auto origin = [](const char* host, const char* origin) {
    return Guard(From(host, {{"Origin", origin}}));
  };
  EXPECT_EQ(origin("localhost:8080", "http://localhost:8080"), "ok");
  EXPECT_EQ(origin("localhost:8080", "HTTP://LOCALHOST:8080"), "ok");
  EXPECT_EQ(origin("localhost", "http://localhost"), "ok");
  EXPECT_EQ(origin("localhost:80", "http://localhost"), "ok");
  for (const char* other :
       {"null", "http://localhost", "http://localhost:8081", "https://localhost:8080",
        "http://evil.example", "http://localhost:8080.evil.example", "", "localhost:8080",
        "http://127.0.0.1:8080"}) {
    EXPECT_EQ(origin("localhost:8080", other), "origin_not_allowed") << other;
  }
  EXPECT_EQ(Guard(From("", {{"Origin", "http://localhost"}})), "origin_not_allowed");
  EXPECT_EQ(Guard(From("")), "ok");  // HTTP/1.0: no browser
}

TEST(Guard, CrossSiteFetchesAreRefused) {
  EXPECT_EQ(Guard(From("localhost", {{"Sec-Fetch-Site", "cross-site"}})), "origin_not_allowed");
  EXPECT_EQ(Guard(From("localhost", {{"sec-fetch-site", "Same-Site"}})), "origin_not_allowed");
  EXPECT_EQ(Guard(From("localhost", {{"Sec-Fetch-Site", "same-origin"}})), "ok");
  EXPECT_EQ(Guard(From("localhost", {{"Sec-Fetch-Site", "none"}})), "ok");
}

TEST(Token, IsAskedForOnlyIfConfigured) {
  EXPECT_FALSE(CheckToken(From("localhost"), "").has_value());
  const auto error = CheckToken(From("localhost"), "secret");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->status, 401);
  EXPECT_EQ(error->message, "Unauthorized");
  EXPECT_EQ(error->headers.at(0).name, "WWW-Authenticate");
  EXPECT_EQ(error->headers.at(0).value, "Bearer realm=\"minibox\"");
}

TEST(Token, EveryFormIsAccepted) {
  for (const Header& header :
       {Header{"Authorization", "Bearer secret"}, Header{"authorization", "bearer  secret"},
        Header{"Authorization", "secret"}, Header{"X-API-Token", "secret"}}) {
    EXPECT_FALSE(CheckToken(From("localhost", {header}), "secret")) << header.value;
  }
  for (const Header& header :
       {Header{"Authorization", "Bearer secre"}, Header{"Authorization", "Bearer secretsecret"},
        Header{"Authorization", "Basic secret"}, Header{"Authorization", "Bearer"},
        Header{"Authorization", ""}, Header{"X-API-Token", "Secret"}, Header{"X-API-Token", ""}}) {
    EXPECT_TRUE(CheckToken(From("localhost", {header}), "secret")) << header.value;
  }
}

}  // namespace
}  // namespace miniboxd
