// SPDX-License-Identifier: Apache-2.0
// What goes wrong on the way: each ends in success or in a clear error, the store stays sound, and
// the next attempt goes on where this one ended.
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "registry/registry_fixture.h"

namespace minibox::registry {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = Fault::Kind;

class FaultTest : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    fake_.AddImage("app", "1", image_);
  }

  // Of the big layer's download.
  void Break(const Fault& fault, int times = 1) {
    proxy_.Add({.method = "GET", .path = layer_, .times = times, .fault = fault});
  }
  void ExpectGoodPull() {
    proxy_.Clear();
    const auto pulled = Pull("app:1");
    ASSERT_TRUE(pulled.ok()) << pulled.status().message();
    EXPECT_EQ(FileOf(image_, 1, "dir/second"), Noise(700'000, 7));
    EXPECT_THAT(List("partial"), IsEmpty());
    ExpectSoundStore();
  }
  void ExpectFailure(StatusCode code, std::string_view part) {
    const auto pulled = Pull("app:1");
    EXPECT_EQ(pulled.status().code(), code) << pulled.status().message();
    EXPECT_THAT(pulled.status().message(), HasSubstr(std::string(part)));
    EXPECT_THAT(pulled.status().message(), HasSubstr(layer_.substr(7, 12)));
    EXPECT_THAT(*store_.ListImages(), IsEmpty());
    EXPECT_EQ(lines_.back().find("[error] pull failed: "), 0u) << lines_.back();
    ExpectSoundStore();
  }

  const TestImage image_ = SampleImage();
  const std::string layer_ = testing::DigestText(image_.layers[1]);
};

TEST_F(FaultTest, ACutIsResumedAfterTheBytesThatArrived) {
  Break({.kind = Kind::kCut, .bytes = 300'000});
  ASSERT_TRUE(Pull("app:1").ok());
  EXPECT_EQ(proxy_.Count(layer_ + " bytes=300000-"), 1u);
  EXPECT_TRUE(HasLine("[pull] blob " + layer_.substr(7, 12) + " download failed ("));
  EXPECT_TRUE(HasLine("(attempt 1/3)..."));  // it brought something
  ExpectGoodPull();
}

TEST_F(FaultTest, ProgressDoesNotCountAsFailure) {
  // More cuts than attempts, each after a little more.
  Break({.kind = Kind::kCut, .bytes = 50'000}, 8);
  ASSERT_TRUE(Pull("app:1").ok());
  EXPECT_EQ(proxy_.Count(layer_), 9u);
  ExpectGoodPull();
}

TEST_F(FaultTest, CutsWithoutAByteEndAfterThreeAttempts) {
  Break({.kind = Kind::kCut}, -1);
  ExpectFailure(StatusCode::kUnavailable, "");
  EXPECT_EQ(proxy_.Count(layer_), 3u);
  EXPECT_TRUE(HasLine("(attempt 2/3)..."));
  EXPECT_TRUE(HasLine("(attempt 3/3)..."));
  ExpectGoodPull();
}

TEST_F(FaultTest, TheNextPullGoesOnWhereThisOneFailed) {
  Break({.kind = Kind::kCut, .bytes = 400'000});
  Break({.kind = Kind::kStatus, .status = 403, .body = R"({"errors":[{"message":"no more"}]})"},
        -1);
  ExpectFailure(StatusCode::kPermissionDenied, "403: no more");
  EXPECT_EQ(List("partial").size(), 1u);
  ExpectGoodPull();
  EXPECT_EQ(proxy_.Count(layer_ + " bytes=400000-"), 2u);
}

TEST_F(FaultTest, AServerThatIgnoresRanges) {
  Break({.kind = Kind::kCut, .bytes = 400'000});
  Break({.kind = Kind::kNoRange});
  ASSERT_TRUE(Pull("app:1").ok());
  ExpectGoodPull();
}

TEST_F(FaultTest, WrongBytesAreDiscarded) {
  Break({.kind = Kind::kWrongBytes, .bytes = 500'000});
  ExpectFailure(StatusCode::kDataLoss, "expected " + layer_);
  EXPECT_THAT(List("partial"), IsEmpty());
  ExpectGoodPull();
}

TEST_F(FaultTest, WrongBytesOfAnEarlierPullAreFetchedAnew) {
  const auto partial =
      root_->dir().OpenAt(core::StrCat("partial/", layer_.substr(7)), O_WRONLY | O_CREAT, 0644);
  ASSERT_TRUE(partial.ok());
  ASSERT_EQ(write(partial->get(), "xxxx", 4), 4);
  ExpectGoodPull();
}

TEST_F(FaultTest, WrongLengthsAreRefusedAtOnce) {
  Break({.kind = Kind::kWrongLength, .bytes = 10}, -1);
  ExpectFailure(StatusCode::kDataLoss, "bytes, expected ");
  EXPECT_EQ(proxy_.Count(layer_), 1u);
  ExpectGoodPull();
}

TEST_F(FaultTest, MoreThanTheManifestSaysIsRefused) {
  Break({.kind = Kind::kTooLong, .bytes = 10}, -1);
  ExpectFailure(StatusCode::kDataLoss, "has more than ");
  ExpectGoodPull();
}

TEST_F(FaultTest, StallsAreCutOff) {
  RegistryOptions options = Options();
  options.idle_timeout = std::chrono::milliseconds(1'500);
  Break({.kind = Kind::kStall, .bytes = 100'000});
  const auto pulled = Pull(Open(options), Ref("app:1"));
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_TRUE(HasLine("no byte for 1.5s"));
  ExpectGoodPull();
}

TEST_F(FaultTest, SlowBytesAreNoStall) {
  Break({.kind = Kind::kSlow});
  const TestImage small = testing::MakeImage({Tar("a", Noise(20'000, 3))});
  fake_.AddImage("app", "small", small);
  proxy_.Add({.path = testing::DigestText(small.layers[0]), .fault = {.kind = Kind::kSlow}});
  EXPECT_TRUE(Pull("app:small").ok());
}

TEST_F(FaultTest, RetryAfterIsObeyed) {
  for (const int status : {408, 429, 500, 503}) {
    Break({.kind = Kind::kStatus, .status = status, .headers = {{"Retry-After", "0"}}}, 2);
    ASSERT_TRUE(Pull("app:1").ok()) << status;
    EXPECT_TRUE(HasLine(core::StrCat("the registry answers ", status)));
    EXPECT_TRUE(HasLine("retrying in 0ms (attempt 3/3)..."));
    ASSERT_TRUE(store_.RemoveImage(Ref("app:1").ToString()).ok());
    ASSERT_TRUE(root_->dir().Unlink(core::StrCat("blobs/sha256/", layer_.substr(7))).ok());
  }
  // Longer than anybody waits.
  Break({.kind = Kind::kStatus, .status = 429, .headers = {{"Retry-After", "301"}}}, -1);
  ExpectFailure(StatusCode::kUnavailable, "429");
  ExpectGoodPull();
}

TEST_F(FaultTest, RetriesOfAManifest) {
  proxy_.Add({.path = "/manifests/", .times = 2, .fault = {.kind = Kind::kStatus, .status = 503}});
  EXPECT_TRUE(Pull("app:1").ok());
  proxy_.Add({.path = "/manifests/", .times = -1, .fault = {.kind = Kind::kStatus, .status = 502}});
  EXPECT_EQ(Pull("app:1").status().code(), StatusCode::kUnavailable);
  ExpectGoodPull();
}

TEST_F(FaultTest, RedirectLoopsEnd) {
  Break({.kind = Kind::kRedirectLoop}, -1);
  ExpectFailure(StatusCode::kPermissionDenied, "more than 10 redirects");
  EXPECT_EQ(proxy_.Count(layer_), 11u);
  ExpectGoodPull();
}

TEST_F(FaultTest, GzipBombsAreRefused) {
  // 1.5 GiB of zeros behind 1.5 MB.
  std::string bomb;
  {
    auto compressor =
        archive::Compressor::Create(archive::Compression::kGzip, [&](std::string_view bytes) {
          bomb += bytes;
          return Status();
        });
    testing::TarHeader header{.name = "zeros"};
    header.size = int64_t{3} << 29;
    ASSERT_TRUE((*compressor)->Write(testing::TarBuilder().Add(header).TakeWithoutEnd()).ok());
    const std::string zeros(1 << 20, '\0');
    for (int i = 0; i < 1536; ++i) ASSERT_TRUE((*compressor)->Write(zeros).ok());
    ASSERT_TRUE((*compressor)->Finish().ok());
  }
  TestImage image = testing::MakeImage({Tar("a", "b")});
  const auto replace = [](std::string& text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace(image.manifest, testing::DigestText(image.layers[0]), testing::DigestText(bomb));
  replace(image.manifest, core::StrCat("\"size\":", image.layers[0].size(), "}]"),
          core::StrCat("\"size\":", bomb.size(), "}]"));
  image.layers[0] = bomb;
  fake_.AddImage("bomb", "1", image);
  const auto pulled = Pull("bomb:1");
  EXPECT_EQ(pulled.status().reason(), "invalid_archive") << pulled.status().message();
  EXPECT_THAT(pulled.status().message(), HasSubstr("200 times"));
  ExpectSoundStore();
}

TEST_F(FaultTest, CancelledInTheMiddleAndResumed) {
  Break({.kind = Kind::kStall, .bytes = 200'000});
  std::stop_source stop;
  PullOptions options;
  Registry registry = Open(Options());
  options.progress = [&](const Progress& progress) {
    if (progress.subject == layer_ && progress.done >= 200'000) stop.request_stop();
  };
  options.log = [this](std::string_view line) { lines_.emplace_back(line); };
  const auto pulled = registry.Pull(Ref("app:1"), options, stop.get_token());
  EXPECT_EQ(pulled.status().code(), StatusCode::kCancelled);
  EXPECT_THAT(*store_.ListImages(), IsEmpty());
  EXPECT_EQ(List("partial").size(), 1u);
  ExpectSoundStore();
  ExpectGoodPull();
  EXPECT_EQ(proxy_.Count(layer_ + " bytes=200000-"), 1u);
}

TEST_F(FaultTest, WhatAnotherPullSharesGoesOn) {
  Break({.kind = Kind::kStall, .bytes = 200'000});
  std::stop_source stop;
  std::atomic<bool> stalled = false;
  PullOptions options;
  options.progress = [&](const Progress& progress) {
    if (progress.subject == layer_ && progress.done >= 200'000) stalled = true;
    stalled.notify_all();
  };
  std::thread first([&] {
    EXPECT_EQ(Open(Options()).Pull(Ref("app:1"), options, stop.get_token()).status().code(),
              StatusCode::kCancelled);
  });
  stalled.wait(false);
  std::thread second([&] { EXPECT_TRUE(Open(Options()).Pull(Ref("app:1")).ok()); });
  // It has got as far as it gets: its manifest is fetched, its turn at the layer is to come.
  while (proxy_.Count("/manifests/") < 2) std::this_thread::yield();
  stop.request_stop();
  first.join();
  second.join();
  EXPECT_EQ(proxy_.Count(layer_ + " bytes=200000-"), 1u);
  ExpectGoodPull();
}

TEST_F(FaultTest, MirrorsAreAskedFirstAndTheRegistryIfTheyFail) {
  testing::FakeRegistry mirror;
  testing::FaultProxy mirror_proxy(mirror.port());
  RegistryOptions options = Options();
  // The first is not there at all.
  options.mirrors = {{proxy_.host(), "http://127.0.0.1:1"},
                     {proxy_.host(), "http://" + mirror_proxy.host()},
                     {"other.example", "http://127.0.0.1:2"}};
  ASSERT_TRUE(Pull(Open(options), Ref("app:1")).ok());  // the mirror does not have it
  EXPECT_EQ(mirror_proxy.Count("/manifests/"), 1u);
  EXPECT_EQ(proxy_.Count("/manifests/"), 1u);

  const TestImage other = testing::MakeImage({Tar("a", Noise(300'000, 5))});
  mirror.AddImage("app", "2", other);
  ASSERT_TRUE(Pull(Open(options), Ref("app:2")).ok());
  EXPECT_EQ(proxy_.Count("/manifests/"), 1u);
  EXPECT_EQ(store_.GetImage(Ref("app:2").ToString())->reference, Ref("app:2").ToString());

  // A layer that the mirror breaks off is finished by the registry.
  const TestImage third = testing::MakeImage({Tar("a", Noise(300'000, 6))});
  mirror.AddImage("app", "3", third);
  fake_.AddImage("app", "3", third);
  const std::string layer = testing::DigestText(third.layers[0]);
  mirror_proxy.Add({.path = layer, .fault = {.kind = Kind::kCut, .bytes = 100'000}});
  ASSERT_TRUE(Pull(Open(options), Ref("app:3")).ok());
  EXPECT_EQ(proxy_.Count(layer + " bytes=100000-"), 1u);
  // What a mirror refuses is an error.
  mirror_proxy.Add({.path = "/manifests/", .fault = {.kind = Kind::kStatus, .status = 403}});
  EXPECT_EQ(Pull(Open(options), Ref("app:3")).status().code(), StatusCode::kPermissionDenied);
  // Nothing is pushed to a mirror.
  const auto before = mirror_proxy.Seen().size();
  EXPECT_TRUE(Open(options).Push(Ref("app:3").ToString()).ok());
  EXPECT_EQ(mirror_proxy.Seen().size(), before);
}

}  // namespace
}  // namespace minibox::registry
