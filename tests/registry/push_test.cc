// SPDX-License-Identifier: Apache-2.0
#include "registry/registry_fixture.h"
#include "support/told_events.h"

namespace minibox::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Auth = testing::FakeRegistry::Auth;
using Kind = Fault::Kind;

class PushTest : public RegistryFixture {
 protected:
  // Under the name app:1, from a registry that is gone.
  void SetUp() override {
    RegistryFixture::SetUp();
    testing::FakeRegistry elsewhere;
    elsewhere.AddImage("app", "1", image_);
    Registry registry = Open(Options());
    const auto pulled = registry.Pull(*ImageRef::Parse(elsewhere.host() + "/app:1"));
    ASSERT_TRUE(pulled.ok()) << pulled.status().message();
    ASSERT_TRUE(store_.TagImage(pulled->name, "LocalApp").ok());
  }
  void ExpectComplete(const std::string& repository) const {
    for (const std::string& layer : image_.layers) {
      EXPECT_TRUE(fake_.HasBlob(repository, testing::DigestText(layer)));
    }
    EXPECT_TRUE(fake_.HasBlob(repository, testing::DigestText(image_.config)));
    EXPECT_EQ(fake_.Manifest(repository, "v2"), image_.manifest);
  }

  const TestImage image_ = SampleImage();
  const std::string layer_ = testing::DigestText(image_.layers[1]);
};

TEST_F(PushTest, SendsLayersConfigAndManifestByteForByte) {
  const Status pushed = Push("LocalApp", Ref("team/app:v2"));
  ASSERT_TRUE(pushed.ok()) << pushed.message();
  ExpectComplete("team/app");
  const std::string name = Ref("team/app:v2").Shown();
  EXPECT_EQ(lines_.front(), "[push] preparing " + name);
  EXPECT_TRUE(HasLine("[push] layer 2/2 (" + layer_.substr(7, 12) + ") pushing..."));
  EXPECT_TRUE(HasLine("[push] layer 2/2 (" + layer_.substr(7, 12) + ") pushed"));
  const std::vector<std::string> end(lines_.end() - 4, lines_.end());
  EXPECT_THAT(
      end, ElementsAre(
               "[push] pushing config " + testing::DigestText(image_.config).substr(7, 12) + "...",
               "[push] manifest: " + testing::DigestText(image_.manifest).substr(7, 12),
               "[push] successfully pushed " + name, "[push] Done"));
  EXPECT_TRUE(List("leases").empty());

  // What is there is not sent again.
  ASSERT_TRUE(Push("LocalApp", Ref("team/app:v2")).ok());
  EXPECT_TRUE(HasLine("[push] layer 2/2 (" + layer_.substr(7, 12) + ") already exists"));
  EXPECT_EQ(proxy_.Count("PATCH"), 3u);
}

TEST_F(PushTest, BlobsAreMountedFromWhereTheyHaveGone) {
  ASSERT_TRUE(Push("LocalApp", Ref("team/app:v2")).ok());
  ASSERT_TRUE(Push("LocalApp", Ref("other/app:v2")).ok());
  EXPECT_TRUE(HasLine("[push] layer 1/2 (" + testing::DigestText(image_.layers[0]).substr(7, 12) +
                      ") mounted from team/app"));
  ExpectComplete("other/app");
  EXPECT_EQ(proxy_.Count("PATCH /v2/other"), 1u);  // the config
}

TEST_F(PushTest, AMountThatIsNotPossibleBecomesAnUpload) {
  ASSERT_TRUE(Push("LocalApp", Ref("team/app:v2")).ok());
  for (const std::string& layer : image_.layers) {
    fake_.RemoveBlob("team/app", testing::DigestText(layer));
  }
  ASSERT_TRUE(Push("LocalApp", Ref("other/app:v2")).ok());
  ExpectComplete("other/app");
  EXPECT_TRUE(HasLine(") pushed"));
}

TEST_F(PushTest, ACutUploadGoesOnAtTheRegistrysOffset) {
  proxy_.Add({.method = "PATCH",
              .path = "/blobs/uploads/",
              .times = 1,
              .fault = {.kind = Kind::kCutUpload, .bytes = 300'000}});
  RegistryOptions options = Options();
  options.max_parallel_layers = 1;
  // The first layer is smaller than that, and not cut.
  const Status pushed = Open(options).Push("LocalApp", {.as = Ref("team/app:v2")});
  ASSERT_TRUE(pushed.ok()) << pushed.message();
  ExpectComplete("team/app");
}

TEST_F(PushTest, ARegistryThatTakesLittleAtATime) {
  fake_.SetUploadLimit(100'000);
  const Status pushed = Push("LocalApp", Ref("team/app:v2"));
  ASSERT_TRUE(pushed.ok()) << pushed.message();
  ExpectComplete("team/app");
}

TEST_F(PushTest, UploadsAreRetried) {
  for (const char* method : {"HEAD", "POST", "PATCH", "PUT"}) {
    proxy_.Add(
        {.method = method, .path = "/blobs/", .fault = {.kind = Kind::kStatus, .status = 503}});
  }
  proxy_.Add({.method = "PUT",
              .path = "/manifests/",
              .times = 2,
              .fault = {.kind = Kind::kStatus, .status = 500}});
  const Status pushed = Push("LocalApp", Ref("team/app:v2"));
  EXPECT_TRUE(pushed.ok()) << pushed.message();
}

TEST_F(PushTest, RefusalsCarryTheRegistrysMessage) {
  proxy_.Add({.method = "POST",
              .path = "/blobs/uploads/",
              .times = -1,
              .fault = {.kind = Kind::kStatus,
                        .status = 403,
                        .body = R"({"errors":[{"code":"DENIED","message":"not yours"}]})"}});
  const Status pushed = Push("LocalApp", Ref("team/app:v2"));
  EXPECT_EQ(pushed.code(), StatusCode::kPermissionDenied);
  EXPECT_THAT(pushed.message(), HasSubstr("403: not yours"));
  EXPECT_EQ(lines_.back(), "[error] push failed: " + pushed.message());
  EXPECT_EQ(fake_.Manifest("team/app", "v2"), "");
}

TEST_F(PushTest, AnotherDigestInTheAnswerIsAnError) {
  proxy_.Add(
      {.method = "PUT",
       .path = "/manifests/",
       .fault = {
           .kind = Kind::kStatus, .status = 201, .headers = {{"Docker-Content-Digest", layer_}}}});
  EXPECT_EQ(Push("LocalApp", Ref("team/app:v2")).code(), StatusCode::kDataLoss);
}

TEST_F(PushTest, IsAnEventOnceItHasSucceeded) {
  const auto before = testing::ToldEvents(root_->events());
  EXPECT_FALSE(Push("absent").ok());
  EXPECT_EQ(testing::ToldEvents(root_->events()), before);
  ASSERT_TRUE(Push("LocalApp", Ref("team/app:v2")).ok());
  auto after = before;
  after.push_back("image.push " + Ref("team/app:v2").Shown());
  EXPECT_EQ(testing::ToldEvents(root_->events()), after);
}

TEST_F(PushTest, WithATokenForBothActions) {
  fake_.RequireAuth(Auth::kBearer);
  const Status pushed =
      Push("LocalApp", Ref("team/app:v2"), Credentials{.username = "me", .password = "secret"});
  ASSERT_TRUE(pushed.ok()) << pushed.message();
  EXPECT_THAT(fake_.TokenRequests().front(),
              HasSubstr("scope=repository%3Ateam%2Fapp%3Apull%2Cpush"));
}

TEST_F(PushTest, NamesThatCannotBePushed) {
  EXPECT_EQ(Push("absent").reason(), "image_not_found");
  EXPECT_EQ(Push("LocalApp").reason(), "invalid_reference");
}

TEST_F(PushTest, WhatWasPushedIsPulledAsTheSameImage) {
  ASSERT_TRUE(Push("LocalApp", Ref("team/app:v2")).ok());
  const testing::Scratch other;
  Store store = *Store::Open({.root = other / "root"});
  auto registry = Registry::Open(store, Options());
  const auto pulled = registry->Pull(Ref("team/app:v2"));
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(pulled->manifest, store_.GetImage("LocalApp")->manifest);
}

}  // namespace
}  // namespace minibox::registry
