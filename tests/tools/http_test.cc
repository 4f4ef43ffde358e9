// SPDX-License-Identifier: Apache-2.0
#include "http.h"

#include <gtest/gtest.h>

namespace miniboxd {
namespace {

using minibox::Status;
using minibox::StatusCode;

RequestHead Head(std::vector<Header> headers, int minor = 1) {
  RequestHead head{
      .method = "GET", .target = "/ping", .minor = minor, .headers = std::move(headers)};
  if (minor > 0 && head.Count("Host") == 0) head.headers.push_back({"Host", "localhost"});
  return head;
}

int CheckedStatus(const RequestHead& head) {
  const auto error = CheckHead(head);
  return error ? error->status : 200;
}

TEST(CheckHead, SoundHeadsPass) {
  EXPECT_EQ(CheckedStatus(Head({})), 200);
  EXPECT_EQ(CheckedStatus(Head({{"Content-Length", "0"}})), 200);
  EXPECT_EQ(CheckedStatus(Head({{"transfer-encoding", "CHUNKED"}})), 200);
  EXPECT_EQ(CheckedStatus(Head({{"Expect", "100-Continue"}})), 200);
  EXPECT_EQ(CheckedStatus(Head({}, /*minor=*/0)), 200);
}

TEST(CheckHead, AmbiguousBodiesAreRefused) {
  EXPECT_EQ(CheckedStatus(Head({{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}})), 400);
  EXPECT_EQ(CheckedStatus(Head({{"Content-Length", "1"}, {"Content-Length", "1"}})), 400);
  EXPECT_EQ(CheckedStatus(Head({{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "x"}})),
            400);
  EXPECT_EQ(CheckedStatus(Head({{"Transfer-Encoding", "chunked"}}, /*minor=*/0)), 400);
  for (const char* encoding : {"gzip", "gzip, chunked", "identity", "xchunked", ""}) {
    EXPECT_EQ(CheckedStatus(Head({{"Transfer-Encoding", encoding}})), 400) << encoding;
  }
  for (const char* length : {"-1", "+1", "1,1", "1 1", "0x10", "", "18446744073709551616", "5a"}) {
    EXPECT_EQ(CheckedStatus(Head({{"Content-Length", length}})), 400) << length;
  }
}

TEST(CheckHead, MalformedHeadersAreRefused) {
  EXPECT_EQ(CheckedStatus(Head({{"a b", "c"}})), 400);
  EXPECT_EQ(CheckedStatus(Head({{"a", "b\x01"}})), 400);
  EXPECT_EQ(CheckedStatus(Head({{"Host", "a"}, {"host", "a"}})), 400);
  EXPECT_EQ(CheckedStatus(Head({{"Expect", "a-pony"}})), 417);
  RequestHead none{.method = "GET", .target = "/"};
  EXPECT_EQ(CheckedStatus(none), 400);
}

TEST(CheckHead, TheTargetIsLimitedTo8KiB) {
  RequestHead head = Head({});
  head.target = "/" + std::string(kMaxTarget - 1, 'a');
  EXPECT_EQ(CheckedStatus(head), 200);
  head.target += "a";
  EXPECT_EQ(CheckedStatus(head), 414);
}

TEST(RequestHead, AcceptIsReadWithWeights) {
  EXPECT_TRUE(Head({{"Accept", "application/json"}}).Accepts("application/json"));
  EXPECT_TRUE(Head({{"Accept", "text/plain, Application/JSON;q=0.5"}}).Accepts("application/json"));
  EXPECT_FALSE(Head({{"Accept", "application/json;q=0"}}).Accepts("application/json"));
  EXPECT_FALSE(Head({{"Accept", "application/json; q=0.00"}}).Accepts("application/json"));
  EXPECT_TRUE(Head({{"Accept", "application/json; q=0.01"}}).Accepts("application/json"));
  EXPECT_FALSE(Head({{"Accept", "*/*"}}).Accepts("application/json"));
  EXPECT_FALSE(Head({}).Accepts("application/json"));
}

TEST(Query, IsPercentDecoded) {
  const auto pairs = ParseQuery("id=a%20b&since=2026-01-01T00:00:00+02:00&flag&x=%c3%a4&&=v");
  ASSERT_TRUE(pairs.has_value());
  ASSERT_EQ(pairs->size(), 5u);
  EXPECT_EQ(pairs->at(0).second, "a b");
  EXPECT_EQ(pairs->at(1).second, "2026-01-01T00:00:00+02:00");
  EXPECT_EQ(pairs->at(2), (std::pair<std::string, std::string>("flag", "")));
  EXPECT_EQ(pairs->at(3).second, "\xc3\xa4");
  for (const char* bad : {"a=%", "a=%4", "a=%zz", "a=%00", "%=1"}) {
    EXPECT_FALSE(ParseQuery(bad).has_value()) << bad;
  }
  EXPECT_TRUE(ParseQuery("")->empty());
}

TEST(ErrorOf, CodesFollowTheTable) {
  struct Case {
    StatusCode code;
    const char* reason;
    int status;
    const char* error;
  };
  for (const Case& c : {
           Case{StatusCode::kInvalidArgument, "invalid_reference", 400, "invalid_reference"},
           Case{StatusCode::kInvalidArgument, "body_too_large", 413, "body_too_large"},
           Case{StatusCode::kPermissionDenied, "read_only", 403, "read_only"},
           Case{StatusCode::kPermissionDenied, "path_not_allowed", 400, "path_not_allowed"},
           Case{StatusCode::kNotFound, "image_not_found", 404, "image_not_found"},
           Case{StatusCode::kFailedPrecondition, "container_running", 409, "container_running"},
           Case{StatusCode::kAlreadyExists, "name_in_use", 409, "name_in_use"},
           Case{StatusCode::kAborted, "port_in_use", 409, "port_in_use"},
           Case{StatusCode::kDeadlineExceeded, "", 408, "timeout"},
           Case{StatusCode::kResourceExhausted, "no_space", 507, "no_space"},
           Case{StatusCode::kResourceExhausted, "", 500, "internal"},
           Case{StatusCode::kUnavailable, "", 503, "shutting_down"},
           Case{StatusCode::kUnavailable, "registry_error", 502, "registry_error"},
           Case{StatusCode::kUnimplemented, "unsupported_by_host", 500, "unsupported_by_host"},
           Case{StatusCode::kDataLoss, "data_loss", 500, "data_loss"},
           // What no caller can act on is the daemon's own trouble, whatever its errno.
           Case{StatusCode::kNotFound, "", 500, "internal"},
           Case{StatusCode::kPermissionDenied, "", 500, "internal"},
       }) {
    const HttpError error = ErrorOf(Status(c.code, "m", {.reason = c.reason, .field = "f"}));
    EXPECT_EQ(error.status, c.status) << c.reason << static_cast<int>(c.code);
    EXPECT_EQ(error.code, c.error) << c.reason;
    EXPECT_EQ(error.field, "f");
  }
}

}  // namespace
}  // namespace miniboxd
