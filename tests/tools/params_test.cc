// SPDX-License-Identifier: Apache-2.0
#include "params.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

namespace miniboxd {
namespace {

using minibox::wire::Strictness;

class TextBody : public BodySource {
 public:
  explicit TextBody(std::string text) : text_(std::move(text)) {}
  minibox::StatusOr<size_t> Read(char* buffer, size_t size) override {
    const size_t count = text_.copy(buffer, size);
    text_.erase(0, count);
    return count;
  }

 private:
  std::string text_;
};

// One request whose answer can be read back.
class Asked {
 public:
  Asked(const std::string& method, const std::string& target, const std::string& body = "")
      : body_(body) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_), 0);
    RequestHead head{.method = method, .target = target};
    head.headers = {{"Content-Length", std::to_string(body.size())}};
    exchange_.emplace(std::move(head), Exchange::Connection{.socket = ends_[0], .body = &body_});
  }
  ~Asked() {
    exchange_.reset();
    close(ends_[0]);
    close(ends_[1]);
  }
  Exchange& exchange() { return *exchange_; }
  // Everything sent so far.
  std::string Answer() {
    char text[8192];
    const ssize_t count = recv(ends_[1], text, sizeof text, MSG_DONTWAIT);
    return count > 0 ? std::string(text, static_cast<size_t>(count)) : "";
  }

 private:
  int ends_[2];
  TextBody body_;
  std::optional<Exchange> exchange_;
};

TEST(Params, TheQueryWinsOverTheBody) {
  Asked asked("POST", "/x?id=query&t=5", R"({"id":"body","t":7,"force":true})");
  Params params(asked.exchange(), Strictness::kPublished);
  std::string id;
  std::optional<int64_t> t;
  bool force = false;
  params.Required("id", &id);
  params.Int("t", 0, 600, &t);
  params.Flag("force", &force);
  EXPECT_TRUE(params.Finish());
  EXPECT_EQ(id, "query");
  EXPECT_EQ(t, 5);
  EXPECT_TRUE(force);
  EXPECT_EQ(asked.Answer(), "");
}

TEST(Params, ErrorsAreAnsweredWithTheParameter) {
  struct Case {
    const char *target, *body, *message;
  };
  for (const Case& c : {
           Case{"/x", "", "missing id\n"},
           Case{"/x?id=", "", "missing id\n"},
           Case{"/x?id=a&id=b", "", "id: given more than once\n"},
           Case{"/x?id=a&t=601", "", "t: must be 0 to 600\n"},
           Case{"/x?id=a&t=x", "", "t: must be 0 to 600\n"},
           Case{"/x?id=a&force=true", "", "force: must be 0 or 1\n"},
           Case{"/x?id=%zz", "", "Invalid request: query: malformed percent-encoding\n"},
           Case{"/x?id=%ff", "", "Invalid request: query: invalid UTF-8\n"},
           Case{"/x?id=a%0ab", "", "id: must not contain control characters\n"},
           Case{"/x?id=a", R"({"force":1})", "Invalid request: force: expected true or false\n"},
           Case{"/x?id=a", "[]", "Invalid request: body: expected a JSON object\n"},
           Case{"/x?id=a&since=1", "", "since: not supported by this version\n"},
       }) {
    Asked asked("POST", c.target, c.body);
    Params params(asked.exchange(), Strictness::kPublished);
    std::string id;
    std::optional<int64_t> t;
    bool force = false;
    params.Required("id", &id);
    params.Int("t", 0, 600, &t);
    params.Flag("force", &force);
    params.Unsupported("since");
    EXPECT_FALSE(params.Finish()) << c.target;
    const std::string answer = asked.Answer();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
    EXPECT_TRUE(answer.ends_with(std::string("\r\n\r\n") + c.message)) << answer;
  }
}

TEST(Params, WhatNobodyAskedForIsReportedOrRefused) {
  Asked published("POST", "/x?id=a&colour=\"red", R"({"size":1})");
  Params lenient(published.exchange(), Strictness::kPublished);
  std::string id;
  lenient.Required("id", &id);
  EXPECT_TRUE(lenient.Finish());
  published.exchange().SendLine("a", "done");
  const std::string answer = published.Answer();
  EXPECT_NE(answer.find("Warning: 199 minibox \"unknown parameter: colour\"\r\n"),
            std::string::npos)
      << answer;
  EXPECT_NE(answer.find("Warning: 199 minibox \"unknown field: size\"\r\n"), std::string::npos);

  Asked strict("POST", "/x?id=a", R"({"size":1})");
  Params refusing(strict.exchange(), Strictness::kStrict);
  refusing.Required("id", &id);
  EXPECT_FALSE(refusing.Finish());
  EXPECT_TRUE(strict.Answer().ends_with("Invalid request: size: unknown field\n"));
}

TEST(Params, TenWarningsAreEnough) {
  std::string target = "/x?id=a";
  for (int i = 0; i < 30; ++i) target += "&p" + std::to_string(i);
  Asked asked("GET", target);
  Params params(asked.exchange(), Strictness::kPublished);
  std::string id;
  params.Required("id", &id);
  EXPECT_TRUE(params.Finish());
  asked.exchange().SendLine("a", "done");
  const std::string answer = asked.Answer();
  EXPECT_NE(answer.find("p9\""), std::string::npos);
  EXPECT_EQ(answer.find("p10\""), std::string::npos);
}

TEST(Params, LabelFiltersHoldTogether) {
  const std::map<std::string, std::string> labels = {{"a", "1"}, {"b", ""}};
  EXPECT_TRUE(HasLabels(labels, {}));
  EXPECT_TRUE(HasLabels(labels, {"a", "a=1", "b", "b="}));
  EXPECT_FALSE(HasLabels(labels, {"a=2"}));
  EXPECT_FALSE(HasLabels(labels, {"a", "c"}));
}

}  // namespace
}  // namespace miniboxd
