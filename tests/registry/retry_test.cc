// SPDX-License-Identifier: Apache-2.0
#include "registry/retry.h"

#include <gtest/gtest.h>

#include <ctime>

#include "core/errors.h"

namespace minibox::registry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Outcome Failed() {
  return {.status = core::Error(StatusCode::kUnavailable, "registry_error", "x"),
          .retryable = true};
}

TEST(Retry, OneSecondThenTwoThenNoMore) {
  Retry retry(milliseconds(1'000));
  const auto first = retry.After(Failed());
  ASSERT_TRUE(first.has_value());
  EXPECT_GE(*first, milliseconds(1'000));
  EXPECT_LE(*first, milliseconds(1'250));
  EXPECT_EQ(retry.attempt(), 2);
  const auto second = retry.After(Failed());
  EXPECT_GE(*second, milliseconds(2'000));
  EXPECT_LE(*second, milliseconds(2'500));
  EXPECT_EQ(retry.attempt(), 3);
  EXPECT_FALSE(retry.After(Failed()).has_value());
}

TEST(Retry, ProgressStartsTheCountAnew) {
  Retry retry(milliseconds(8));
  Outcome progressed = Failed();
  progressed.progressed = true;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(retry.After(progressed).has_value());
  EXPECT_EQ(retry.attempt(), 1);
  EXPECT_TRUE(retry.After(Failed()).has_value());
  EXPECT_TRUE(retry.After(progressed).has_value());
  EXPECT_TRUE(retry.After(Failed()).has_value());
  EXPECT_TRUE(retry.After(Failed()).has_value());
  EXPECT_FALSE(retry.After(Failed()).has_value());
}

TEST(Retry, ObeysTheServerUpToFiveMinutes) {
  Retry retry(milliseconds(1));
  Outcome outcome = Failed();
  outcome.retry_after = seconds(300);
  EXPECT_EQ(retry.After(outcome), milliseconds(300'000));
  outcome.retry_after = seconds(301);
  EXPECT_FALSE(retry.After(outcome).has_value());
}

TEST(Retry, WhatIsFinalIsFinal) {
  Retry retry(milliseconds(1));
  EXPECT_FALSE(retry.After({.status = core::Internal("x")}).has_value());
}

TEST(Retry, JudgesStatuses) {
  const auto judge = [](int status) { return Judge(HttpResponse{.status = status}, "thing"); };
  EXPECT_TRUE(judge(200).status.ok());
  EXPECT_TRUE(judge(206).status.ok());
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    EXPECT_TRUE(judge(status).retryable) << status;
    EXPECT_TRUE(judge(status).next_source) << status;
    EXPECT_EQ(judge(status).status.code(), StatusCode::kUnavailable);
  }
  for (const int status : {301, 400, 401, 403, 405, 416}) {
    EXPECT_FALSE(judge(status).retryable) << status;
    EXPECT_FALSE(judge(status).next_source) << status;
  }
  EXPECT_EQ(judge(404).status.code(), StatusCode::kNotFound);
  EXPECT_TRUE(judge(404).next_source);
  EXPECT_EQ(judge(403).status.code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(judge(503).status.message(), "thing: the registry answers 503");
}

TEST(Retry, QuotesTheRegistrysMessage) {
  const auto judge = [](const std::string& body) {
    return Judge(HttpResponse{.status = 400, .body = body}, "x").status.message();
  };
  EXPECT_EQ(judge(R"({"errors":[{"code":"A","message":"b"},{"code":"C"}]})"),
            "x: the registry answers 400: b, C");
  EXPECT_EQ(judge("<html>"), "x: the registry answers 400");
  EXPECT_EQ(judge(R"({"errors":[{"message":"\u001b[2J"}]})"),
            "x: the registry answers 400: \\x1b[2J");
  EXPECT_LT(judge(R"({"errors":[{"message":")" + std::string(5'000, 'm') + "\"}]}").size(), 600u);
}

TEST(Retry, RetryAfterAsSecondsOrDate) {
  EXPECT_EQ(ParseRetryAfter(" 7 "), seconds(7));
  EXPECT_EQ(ParseRetryAfter("soon"), std::nullopt);
  EXPECT_EQ(ParseRetryAfter("Thu, 01 Jan 1998 00:00:00 GMT"), seconds(0));
  const std::time_t then = std::time(nullptr) + 1'000;
  char date[64];
  std::tm utc{};
  gmtime_r(&then, &utc);
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  const auto parsed = ParseRetryAfter(date);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_LE(*parsed, seconds(1'000));
  EXPECT_GT(*parsed, seconds(500));
}

TEST(Retry, WaitingCanBeCalledOff) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(Wait(std::chrono::hours(1), stop.get_token()).code(), StatusCode::kCancelled);
  EXPECT_TRUE(Wait(milliseconds(1), {}).ok());
}

}  // namespace
}  // namespace minibox::registry
