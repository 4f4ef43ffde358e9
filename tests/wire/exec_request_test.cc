// SPDX-License-Identifier: Apache-2.0
#include "wire/exec_request.h"

#include <gtest/gtest.h>

namespace minibox::wire {
namespace {

TEST(ExecRequest, AllFields) {
  size_t end = 0;
  const std::string json =
      R"({"id":"web","command":["a","b c"],"interactive":true,"tty":false,"env":["A=1"],)"
      R"("user":"www","workdir":"/x","privileged":true,"other":1})";
  const auto request = ParseExecRequest(json + "stdin", &end);
  ASSERT_TRUE(request.ok()) << request.status().ToString();
  EXPECT_EQ(end, json.size());
  EXPECT_EQ(request->id, "web");
  EXPECT_EQ(request->spec.command, (std::vector<std::string>{"a", "b c"}));
  EXPECT_TRUE(request->spec.open_stdin);
  EXPECT_FALSE(request->spec.tty);
  EXPECT_EQ(request->spec.env, std::vector<std::string>{"A=1"});
  EXPECT_EQ(request->spec.user, "www");
  EXPECT_EQ(request->spec.working_dir, "/x");
  EXPECT_TRUE(request->spec.privileged);
  EXPECT_EQ(request->unknown_fields, std::vector<std::string>{"other"});
  const auto again = ParseExecRequest(ToJson(*request));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(ToJson(*again), ToJson(*request));
}

TEST(ExecRequest, InteractiveMeansATerminalUnlessSaidOtherwise) {
  EXPECT_TRUE(ParseExecRequest(R"({"id":"a","command":["b"],"interactive":true})")->spec.tty);
  const auto plain = ParseExecRequest(R"({"id":"a","command":["b"]})");
  EXPECT_FALSE(plain->spec.tty || plain->spec.open_stdin);
  const auto detached =
      ParseExecRequest(R"({"id":"a","command":["b"],"interactive":true,"detached":true})");
  EXPECT_FALSE(detached->spec.tty || detached->spec.open_stdin);
}

TEST(ExecRequest, MissingAndMalformedFieldsAreNamed) {
  auto failure = ParseExecRequest(R"({"command":["b"]})").status();
  EXPECT_EQ(failure.message(), "Container ID is required");
  EXPECT_EQ(failure.field(), "id");
  failure = ParseExecRequest(R"({"id":"a"})").status();
  EXPECT_EQ(failure.message(), "Command is required");
  EXPECT_EQ(failure.field(), "command");
  EXPECT_EQ(ParseExecRequest(R"({"id":"a","command":"b"})").status().field(), "command");
  EXPECT_EQ(ParseExecRequest(R"({"id":"a","command":["b"],"env":[1]})").status().reason(),
            "invalid_request");
  EXPECT_FALSE(ParseExecRequest("[]").ok());
}

}  // namespace
}  // namespace minibox::wire
