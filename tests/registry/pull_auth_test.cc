// SPDX-License-Identifier: Apache-2.0
#include "registry/registry_fixture.h"

namespace minibox::registry {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Auth = testing::FakeRegistry::Auth;

class PullAuthTest : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    fake_.AddImage("app", "1", image_);
  }
  StatusOr<ImageInfo> PullAs(const Credentials& credentials) {
    PullOptions options;
    options.credentials = credentials;
    return Pull(Open(Options()), Ref("app:1"), {}, options);
  }
  StatusOr<ImageInfo> PullWithFile(const std::string& content) {
    RegistryOptions options = Options();
    options.auth_file = scratch_.Write("auth.json", content);
    return Pull(Open(options), Ref("app:1"));
  }
  std::string Key() const { return "\"" + proxy_.host() + "\""; }

  const TestImage image_ = SampleImage();
};

TEST_F(PullAuthTest, BasicFromTheFile) {
  fake_.RequireAuth(Auth::kBasic);
  const auto anonymous = Pull("app:1");
  EXPECT_EQ(anonymous.status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(anonymous.status().reason(), "registry_error");
  const auto pulled = PullWithFile("{\"auths\":{" + Key() + ":{\"auth\":\"bWU6c2VjcmV0\"}}}");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  // The challenge is answered once, not for every request.
  size_t refused = 0;
  for (const std::string& line : fake_.Seen()) refused += !line.ends_with(" auth");
  EXPECT_LE(refused, 4u);  // of both pulls, with what finds out about TLS
}

TEST_F(PullAuthTest, WrongPasswordsAreTriedOnce) {
  fake_.RequireAuth(Auth::kBasic);
  const auto pulled = PullAs({.username = "me", .password = "hunter2"});
  EXPECT_EQ(pulled.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(pulled.status().message(), Not(HasSubstr("hunter2")));
  EXPECT_EQ(fake_.Count(" auth"), 1u);
}

TEST_F(PullAuthTest, AnonymousToken) {
  fake_.RequireAuth(Auth::kBearer);
  ASSERT_TRUE(Pull("app:1").ok());
  const auto requests = fake_.TokenRequests();
  ASSERT_EQ(requests.size(), 1u);  // for all requests of the pull
  EXPECT_THAT(requests[0], HasSubstr("service=fake"));
  EXPECT_THAT(requests[0], HasSubstr("scope=repository%3Aapp%3Apull"));
}

TEST_F(PullAuthTest, TokensAreKeptUntilTheyExpire) {
  fake_.RequireAuth(Auth::kBearer);
  Registry registry = Open(Options());
  ASSERT_TRUE(Pull(registry, Ref("app:1")).ok());
  ASSERT_TRUE(Pull(registry, Ref("app:1")).ok());
  EXPECT_EQ(fake_.TokenRequests().size(), 1u);
  // One that is not accepted any more is replaced, once.
  fake_.RevokeTokens();
  ASSERT_TRUE(Pull(registry, Ref("app:1")).ok());
  EXPECT_EQ(fake_.TokenRequests().size(), 2u);
  // Of no use for the next request, but for this one.
  fake_.RevokeTokens();
  fake_.SetTokenLifetime(1);
  ASSERT_TRUE(Pull(registry, Ref("app:1")).ok());
  EXPECT_GE(fake_.TokenRequests().size(), 3u);
}

TEST_F(PullAuthTest, TokenForAPasswordAndForAnIdentity) {
  fake_.RequireAuth(Auth::kBearer);
  ASSERT_TRUE(PullAs({.username = "me", .password = "secret"}).ok());
  EXPECT_THAT(fake_.TokenRequests().back(), HasSubstr("account=me"));
  const auto pulled = PullWithFile("{\"auths\":{" + Key() + ":{\"identitytoken\":\"refresh\"}}}");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_THAT(fake_.TokenRequests().back(), HasSubstr("POST"));
  EXPECT_THAT(fake_.TokenRequests().back(), HasSubstr("grant_type=refresh_token"));
  const auto wrong = PullAs({.username = "me", .password = "other"});
  EXPECT_EQ(wrong.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(wrong.status().message(), HasSubstr("wrong password"));
}

TEST_F(PullAuthTest, ARegistryTokenIsTheTokenItself) {
  fake_.RequireAuth(Auth::kBearer);
  const auto pulled = PullAs({.registry_token = "token-of-mine"});
  EXPECT_EQ(pulled.status().code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(pulled.status().message(), Not(HasSubstr("token-of-mine")));
  EXPECT_TRUE(fake_.TokenRequests().empty());
}

TEST_F(PullAuthTest, AuthorizationIsNotSentToAnotherHost) {
  fake_.RequireAuth(Auth::kBasic);
  testing::FakeRegistry elsewhere;
  for (const std::string& layer : image_.layers) elsewhere.AddBlob("app", layer);
  elsewhere.AddBlob("app", image_.config);
  fake_.RedirectBlobsTo("http://" + elsewhere.host());
  const auto pulled = PullAs({.username = "me", .password = "secret"});
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(elsewhere.Count("GET /v2/app/blobs/"), 3u);
  EXPECT_EQ(elsewhere.Count(" auth"), 0u);
  EXPECT_EQ(fake_.Count(" auth"), fake_.Seen().size() - 2);
}

TEST_F(PullAuthTest, MirrorsHaveTheirOwnCredentials) {
  testing::FakeRegistry mirror;
  mirror.RequireAuth(Auth::kBasic);
  mirror.AddImage("app", "1", image_);
  RegistryOptions options = Options();
  options.mirrors = {{proxy_.host(), "http://" + mirror.host()}};
  options.auth_file = scratch_.Write(
      "auth.json", "{\"auths\":{\"" + mirror.host() + "\":{\"auth\":\"bWU6c2VjcmV0\"}}}");
  PullOptions pull;
  pull.credentials = Credentials{.username = "registry", .password = "only"};
  const auto pulled = Pull(Open(options), Ref("app:1"), {}, pull);
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(proxy_.Seen().size(), 0u);
}

TEST_F(PullAuthTest, ADamagedFileIsAnErrorThatQuotesNothing) {
  const auto pulled = PullWithFile("{\"auths\":{" + Key() + ":{\"auth\":\"!secret!\"}}}");
  EXPECT_EQ(pulled.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(pulled.status().message(), HasSubstr("auth.json"));
  EXPECT_THAT(pulled.status().message(), Not(HasSubstr("!secret!")));
}

TEST_F(PullAuthTest, LoginIsCheckedWithoutAStore) {
  fake_.RequireAuth(Auth::kBasic);
  EXPECT_TRUE(
      Registry::CheckCredentials(fake_.host(), {.username = "me", .password = "secret"}).ok());
  EXPECT_EQ(Registry::CheckCredentials(fake_.host(), {.username = "me", .password = "x"}).code(),
            StatusCode::kPermissionDenied);
  fake_.RequireAuth(Auth::kBearer);
  EXPECT_TRUE(
      Registry::CheckCredentials(fake_.host(), {.username = "me", .password = "secret"}).ok());
  EXPECT_FALSE(Registry::CheckCredentials(fake_.host(), {.username = "me", .password = "x"}).ok());
  EXPECT_EQ(Registry::CheckCredentials("a/b", {}).code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace minibox::registry
