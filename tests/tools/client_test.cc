// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <gtest/gtest.h>

namespace minibox::cli {
namespace {

TEST(Client, QueriesAreEncoded) {
  EXPECT_EQ(EncodeQuery({{"id", "a b"}, {"label", "k=v&x"}}), "id=a%20b&label=k%3Dv%26x");
  EXPECT_EQ(EncodeQuery({{"n", "\xc3\xa4+/"}}), "n=%C3%A4%2B%2F");
  EXPECT_EQ(EncodeQuery({}), "");
}

TEST(Client, OnlyKnownSchemesAreHosts) {
  for (const char* good : {"http://127.0.0.1:8080", "http://localhost/", "https://box.example",
                           "unix:///run/minibox.sock"}) {
    EXPECT_TRUE(Client::ForHost(good, "").ok()) << good;
  }
  for (const char* bad :
       {"", "localhost:8080", "ftp://x", "unix://relative", "unix:///", "http://a b"}) {
    EXPECT_FALSE(Client::ForHost(bad, "").ok()) << bad;
  }
}

TEST(Client, ADaemonThatIsNotThereIsNamed) {
  auto client = Client::ForHost("http://127.0.0.1:1", "");
  const auto reply = client->Send({.path = "/ping"});
  ASSERT_FALSE(reply.ok());
  EXPECT_EQ(reply.status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(
      reply.status().message().starts_with("cannot reach the daemon at http://127.0.0.1:1: "));
}

}  // namespace
}  // namespace minibox::cli
