// SPDX-License-Identifier: Apache-2.0
#include "router.h"

#include <gtest/gtest.h>

namespace miniboxd {
namespace {

const Router& TestRouter() {
  static const Router router({{"GET", "/ping", {}},
                              {"GET", "/containers/copy", {}},
                              {"POST", "/containers/copy", {}},
                              {"POST", "/containers/run", {}}});
  return router;
}

TEST(Router, FindsByMethodAndExactPath) {
  EXPECT_EQ(TestRouter().Find("GET", "/ping", "").route->path, "/ping");
  EXPECT_EQ(TestRouter().Find("HEAD", "/ping", "").route->path, "/ping");
  EXPECT_EQ(TestRouter().Find("POST", "/containers/copy", "").route->method, "POST");
  for (const char* path : {"/", "/pin", "/ping/", "/PING", "/containers", "/%70ing"}) {
    const Router::Match match = TestRouter().Find("GET", path, "");
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_EQ(match.error.status, 404) << path;
    EXPECT_EQ(match.error.message, "404 page not found");
    EXPECT_EQ(match.error.code, "route_not_found");
  }
}

TEST(Router, OtherMethodsLearnWhatIsAllowed) {
  const auto allow = [](const char* method, const char* path) {
    const Router::Match match = TestRouter().Find(method, path, "");
    EXPECT_EQ(match.error.status, 405);
    return match.error.headers.at(0).value;
  };
  EXPECT_EQ(allow("POST", "/ping"), "GET, HEAD");
  EXPECT_EQ(allow("GET", "/containers/run"), "POST");
  EXPECT_EQ(allow("HEAD", "/containers/run"), "POST");
  EXPECT_EQ(allow("DELETE", "/containers/copy"), "GET, HEAD, POST");
}

TEST(Router, UncleanPathsAreRedirected) {
  const std::pair<const char*, const char*> kCases[] = {
      {"//ping", "/ping"},     {"/./ping", "/ping"},
      {"/a/../ping", "/ping"}, {"/../../ping", "/ping"},
      {"/ping/.", "/ping"},    {"/ping/..", "/"},
      {"/ping//", "/ping/"},   {"//evil.example/x", "/evil.example/x"}};
  for (const auto& [path, clean] : kCases) {
    const Router::Match match = TestRouter().Find("GET", path, "");
    EXPECT_EQ(match.error.status, 308) << path;
    EXPECT_EQ(match.error.headers.at(0).value, clean) << path;
  }
  EXPECT_EQ(TestRouter().Find("POST", "//ping", "a=1&b").error.headers.at(0).value, "/ping?a=1&b");
  for (const char* clean : {"/", "/ping", "/ping/", "/a.b", "/..a", "/a/..."}) {
    EXPECT_EQ(CleanPath(clean), clean);
  }
}

}  // namespace
}  // namespace miniboxd
