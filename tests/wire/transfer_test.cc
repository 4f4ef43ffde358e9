// SPDX-License-Identifier: Apache-2.0
#include "wire/transfer.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(Transfer, CredentialsAreReadBack) {
  Credentials credentials{.username = "me?>", .password = "p\"~\xc3\xbf?>", .identity_token = "i"};
  const std::string header = EncodeRegistryAuth(credentials);
  EXPECT_EQ(header.find_first_of("+/"), std::string::npos);
  const auto read = ParseRegistryAuth(header);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->username, credentials.username);
  EXPECT_EQ(read->password, credentials.password);
  EXPECT_EQ(read->identity_token, "i");
  EXPECT_TRUE(read->registry_token.empty());
  // Without padding, and in the other alphabet.
  EXPECT_EQ(ParseRegistryAuth("eyJyZWdpc3RyeV90b2tlbiI6InQifQ")->registry_token, "t");
}

TEST(Transfer, MalformedCredentialsAreNotQuoted) {
  for (const char* header :
       {"!", "c2VjcmV0", "W10=", "eyJ1c2VybmFtZSI6MX0=", "eyJ1c2VybmFtZSI6InNlY3JldFxuIn0="}) {
    const auto read = ParseRegistryAuth(header);
    ASSERT_FALSE(read.ok()) << header;
    EXPECT_EQ(read.status().field(), kRegistryAuthHeader);
    EXPECT_EQ(read.status().reason(), "invalid_argument");
    EXPECT_EQ(read.status().message().find("secret"), std::string::npos);
  }
  EXPECT_FALSE(ParseRegistryAuth(std::string(20'000, 'A')).ok());
}

TEST(Transfer, LinesAreReadBack) {
  const Progress progress{Progress::Phase::kUnpacking, "sha256:x", 5, 7};
  const std::string line = ProgressLine(progress);
  EXPECT_EQ(line,
            "{\"type\":\"progress\",\"subject\":\"sha256:x\",\"phase\":\"unpacking\","
            "\"done\":5,\"total\":7}\n");
  const auto read = ParseStreamLine(line);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->type, StreamLine::Type::kProgress);
  EXPECT_EQ(read->progress.phase, Progress::Phase::kUnpacking);
  EXPECT_EQ(read->progress.total, 7u);
  EXPECT_EQ(ParseStreamLine(R"({"type":"log","text":"a"})")->text, "a");
  EXPECT_TRUE(ParseStreamLine(R"({"type":"result","status":"ok"})")->ok);
  EXPECT_FALSE(ParseStreamLine(R"({"type":"result","status":"error","error":"e"})")->ok);
  EXPECT_FALSE(ParseStreamLine(R"({"type":"other"})").ok());
  EXPECT_FALSE(ParseStreamLine("x").ok());
}

TEST(Transfer, Platforms) {
  const auto platform = ParsePlatformText("linux/arm64/v8");
  ASSERT_TRUE(platform.ok());
  EXPECT_EQ(platform->os, "linux");
  EXPECT_EQ(platform->architecture, "arm64");
  EXPECT_EQ(platform->variant, "v8");
  for (const char* text : {"", "linux", "linux/", "/amd64", "a/b/c/d", "linux/am d64", "a/b/"}) {
    EXPECT_FALSE(ParsePlatformText(text).ok()) << text;
  }
}

}  // namespace
}  // namespace minibox::wire
