// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <thread>

#include "core/failpoint.h"
#include "oci/manifest.h"
#include "oci/media_types.h"
#include "registry/registry_fixture.h"
#include "support/told_events.h"

namespace minibox::registry {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using PullTest = RegistryFixture;

std::string Short(const std::string& digest) { return digest.substr(7, 12); }

TEST_F(PullTest, FetchesUnpacksAndRegisters) {
  const TestImage image = SampleImage();
  const std::string digest = fake_.AddImage("team/app", "1", image);
  const auto pulled = Pull("team/app:1");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(pulled->manifest.ToString(), digest);
  EXPECT_EQ(pulled->reference, Ref("team/app:1").ToString());
  EXPECT_EQ(store_.GetImage(pulled->name)->manifest, pulled->manifest);
  EXPECT_EQ(FileOf(image, 0, "dir/first"), "one");
  EXPECT_EQ(FileOf(image, 1, "dir/second"), Noise(700'000, 7));
  EXPECT_THAT(List("partial"), IsEmpty());
  EXPECT_THAT(List("leases"), IsEmpty());
  ExpectSoundStore();
}

TEST_F(PullTest, SaysWhatItDoesInTheSpecifiedWords) {
  const TestImage image = testing::MakeImage({Tar("a", "1")});
  const std::string digest = fake_.AddImage("app", "latest", image);
  ASSERT_TRUE(Pull("app").ok());
  const std::string name = Ref("app").Shown();
  const std::string layer = Short(testing::DigestText(image.layers[0]));
  EXPECT_THAT(
      lines_,
      ElementsAre("[pull] fetching " + name + " manifest...", "[pull] manifest: " + Short(digest),
                  "[pull] pulling config " + Short(testing::DigestText(image.config)) + "...",
                  "[pull] pulling layer 1/1 (" + layer + ")...",
                  "[pull] registering " + name + " in index.json...",
                  "[pull] successfully pulled " + name, "[pull] Done"));
  ASSERT_TRUE(Pull("app").ok());
  EXPECT_TRUE(HasLine("[pull] layer 1/1 (" + layer + ") already exists"));
  EXPECT_EQ(proxy_.Count("GET /v2/app/blobs/"), 2u);  // of the first pull
}

// Told when the image is there, under the name that was asked for; nothing of what failed.
TEST_F(PullTest, IsAnEventOnceItHasSucceeded) {
  fake_.AddImage("app", "1", SampleImage());
  EXPECT_FALSE(Pull("app:2").ok());
  EXPECT_THAT(testing::ToldEvents(root_->events()), IsEmpty());
  const auto pulled = Pull("app:1");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  const std::string told = "image.pull " + Ref("app:1").Shown();
  EXPECT_THAT(testing::ToldEvents(root_->events()), ElementsAre(told));
  // Also of one that was there already.
  ASSERT_TRUE(Pull("app:1").ok());
  EXPECT_THAT(testing::ToldEvents(root_->events()), ElementsAre(told, told));
}

TEST_F(PullTest, ReportsEachLayerToItsEnd) {
  const TestImage image = SampleImage();
  fake_.AddImage("app", "1", image);
  ASSERT_TRUE(Pull("app:1").ok());
  for (const std::string& layer : image.layers) {
    const std::string subject = testing::DigestText(layer);
    const auto last = std::find_if(progress_.rbegin(), progress_.rend(),
                                   [&](const Progress& p) { return p.subject == subject; });
    ASSERT_NE(last, progress_.rend());
    EXPECT_EQ(last->phase, Progress::Phase::kDone);
    EXPECT_EQ(last->done, layer.size());
    EXPECT_EQ(last->total, layer.size());
  }
}

TEST_F(PullTest, TakesEveryCompression) {
  for (const auto format :
       {archive::Compression::kNone, archive::Compression::kGzip, archive::Compression::kZstd}) {
    const std::string tag = core::StrCat("t", static_cast<int>(format));
    const TestImage image =
        testing::MakeImage({Tar("dir/" + tag, Noise(100'000, 1))}, {.compression = format});
    fake_.AddImage("app", tag, image);
    const auto pulled = Pull("app:" + tag);
    ASSERT_TRUE(pulled.ok()) << pulled.status().message();
    EXPECT_EQ(FileOf(image, 0, "dir/" + tag), Noise(100'000, 1));
  }
  ExpectSoundStore();
}

TEST_F(PullTest, TakesDockerManifestsAndKeepsThemByteForByte) {
  TestImage image = SampleImage();
  const auto replace = [&](std::string_view from, std::string_view to) {
    for (size_t at; (at = image.manifest.find(from)) != std::string::npos;) {
      image.manifest.replace(at, from.size(), to);
    }
  };
  replace(oci::kOciManifest, oci::kDockerManifest);
  replace(oci::kOciConfig, oci::kDockerConfig);
  replace(oci::kOciLayerGzip, oci::kDockerLayerGzip);
  fake_.AddImage("app", "1", image);
  const auto pulled = Pull("app:1");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(*store::BlobStore(root_).Read(pulled->manifest, 1 << 20), image.manifest);
}

class IndexTest : public RegistryFixture {
 protected:
  // linux/<host>, linux/riscv64 and an attestation.
  void AddIndex(std::string_view type = oci::kOciIndex) {
    const std::string host = oci::HostPlatform().architecture;
    fake_.AddImage("app", "host", here_);
    fake_.AddImage("app", "other", other_);
    text_ = "{\"schemaVersion\":2,\"mediaType\":\"" + std::string(type) + "\",\"manifests\":[" +
            testing::IndexEntry(oci::kOciManifest, other_.manifest, "", "riscv64") + "," +
            testing::IndexEntry(oci::kOciManifest, here_.manifest, "", host) + "," +
            testing::IndexEntry(oci::kOciManifest, here_.config, "", "unknown") + "]}";
    text_.replace(text_.rfind("\"os\":\"linux\""), 12, "\"os\":\"unknown\"");
    index_ = fake_.AddManifest("app", "multi", text_);
  }
  const TestImage here_ = SampleImage();
  const TestImage other_ = testing::MakeImage({Tar("a", "b")}, {.architecture = "riscv64"});
  std::string text_, index_;
};

TEST_F(IndexTest, TheHostsImageIsTakenAndEitherDigestFindsIt) {
  AddIndex();
  const auto pulled = Pull("app:multi");
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(pulled->manifest.ToString(), testing::DigestText(here_.manifest));
  EXPECT_TRUE(HasLine(core::StrCat(" is a manifest list, resolving ",
                                   oci::HostPlatform().architecture, "/linux...")));
  for (const std::string& name :
       {index_, index_.substr(7, 10), Ref("app@" + index_).ToString(),
        Ref("app:multi@" + index_).ToString(), testing::DigestText(here_.manifest)}) {
    const auto found = store_.GetImage(name);
    ASSERT_TRUE(found.ok()) << name << ": " << found.status().message();
    EXPECT_EQ(found->manifest, pulled->manifest);
  }
  EXPECT_TRUE(store_.TagImage("app@" + index_, "x").code() == StatusCode::kNotFound);
  ASSERT_TRUE(store_.TagImage(index_, "kept").ok());
  ExpectSoundStore();
}

TEST_F(IndexTest, ByDigestOfTheIndex) {
  AddIndex(oci::kDockerList);
  const auto pulled = Pull("app@" + index_);
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(pulled->manifest.ToString(), testing::DigestText(here_.manifest));
}

TEST_F(IndexTest, AnotherPlatformOnRequestAndAListIfThereIsNone) {
  AddIndex();
  PullOptions options;
  options.platform = {.os = "linux", .architecture = "riscv64"};
  const auto pulled = Pull(Open(Options()), Ref("app:multi"), {}, options);
  ASSERT_TRUE(pulled.ok()) << pulled.status().message();
  EXPECT_EQ(pulled->platform.architecture, "riscv64");
  options.platform.architecture = "s390x";
  const auto missing = Pull(Open(Options()), Ref("app:multi"), {}, options);
  EXPECT_EQ(missing.status().code(), StatusCode::kNotFound);
  EXPECT_THAT(missing.status().message(), HasSubstr("no image for linux/s390x"));
  EXPECT_THAT(missing.status().message(), HasSubstr("linux/riscv64"));
  EXPECT_EQ(lines_.back(), "[error] pull failed: " + missing.status().message());
  // An image without index is not taken for another platform either.
  EXPECT_EQ(Pull(Open(Options()), Ref("app:other"), {}, options).status().code(),
            StatusCode::kNotFound);
  EXPECT_TRUE(Pull("app:other").ok());
}

TEST_F(PullTest, TheOldImageStaysUntilTheNewOneIsComplete) {
  fake_.AddImage("app", "1", testing::MakeImage({Tar("a", "old")}));
  const auto old = Pull("app:1");
  ASSERT_TRUE(old.ok());
  const TestImage newer = SampleImage();
  fake_.AddImage("app", "1", newer);
  fake_.RemoveBlob("app", testing::DigestText(newer.layers[1]));
  EXPECT_FALSE(Pull("app:1").ok());
  EXPECT_EQ(store_.GetImage(old->name)->manifest, old->manifest);
  fake_.AddBlob("app", newer.layers[1]);
  ASSERT_TRUE(Pull("app:1").ok());
  EXPECT_EQ(store_.GetImage(old->name)->manifest.ToString(), testing::DigestText(newer.manifest));
}

TEST_F(PullTest, UnknownNamesAreNotFound) {
  const auto pulled = Pull("nothing:1");
  EXPECT_EQ(pulled.status().code(), StatusCode::kNotFound);
  EXPECT_EQ(pulled.status().reason(), "image_not_found");
  EXPECT_THAT(pulled.status().message(), HasSubstr("manifest unknown"));
  EXPECT_EQ(Open(Options()).Pull(*ImageRef::Parse("LocalName")).status().reason(),
            "invalid_reference");
}

TEST_F(PullTest, SeveralPullsAtOnceFetchEachBlobOnce) {
  const TestImage image = SampleImage();
  for (int i = 0; i < 4; ++i) fake_.AddImage("app", core::StrCat("t", i), image);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      // Handles of their own, as other processes have.
      Store store = *Store::Open({.root = scratch_ / "root"});
      auto registry = Registry::Open(store, Options());
      const auto pulled = registry->Pull(Ref(core::StrCat("app:t", i)));
      EXPECT_TRUE(pulled.ok()) << pulled.status().message();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(proxy_.Count("GET /v2/app/blobs/"), 3u);
  EXPECT_EQ(store_.ListImages()->size(), 4u);
  ExpectSoundStore();
}

TEST_F(PullTest, EveryMalformedDocumentIsAnErrorThatNamesIt) {
  const TestImage good = SampleImage();
  const std::string config = testing::DigestText(good.config);
  const auto manifest = [&](std::string_view from, std::string_view to) {
    std::string text = good.manifest;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  const auto with_config = [&](const std::string& text) {
    TestImage image = good;
    fake_.AddBlob("bad", text);
    std::string m = good.manifest;
    m.replace(m.find(config), config.size(), testing::DigestText(text));
    const std::string size = "\"size\":" + std::to_string(good.config.size());
    m.replace(m.find(size), size.size(), "\"size\":" + std::to_string(text.size()));
    return m;
  };
  const std::string schema1 = R"({"schemaVersion":1,"name":"x","fsLayers":[]})";
  const std::pair<std::string, std::string> cases[] = {
      {"no JSON", "no JSON"},
      {"", "no JSON"},
      {"[]", "manifest"},
      {"{}", "manifest"},
      {schema1, "schema 1"},
      {R"({"schemaVersion":2,"mediaType":"application/vnd.oci.artifact.manifest.v1+json"})",
       "no container image"},
      {R"({"schemaVersion":2,"manifests":[]})", "no image for"},
      {R"({"schemaVersion":2,"manifests":[{}]})", "$.manifests[0]"},
      {R"({"schemaVersion":2,"manifests":1})", "$.manifests"},
      {manifest("\"schemaVersion\":2", "\"schemaVersion\":3"), "schemaVersion"},
      {manifest(std::string(oci::kOciConfig), "application/vnd.cncf.helm.config.v1+json"),
       "no container image"},
      {manifest(std::string(oci::kOciLayerGzip), "application/vnd.cncf.helm.chart.v1.tar+gzip"),
       "no layer"},
      {manifest("sha256:", "sha512:"), "$.config.digest"},
      {manifest("sha256:", "sha256:/../"), "$.config.digest"},
      {manifest("\"size\":", "\"size\":-"), "$.config.size"},
      {manifest("\"size\":", "\"size\":9"), "config"},
      {manifest("\"layers\":[", "\"layers\":[{},"), "$.layers[0]"},
      {manifest("\"layers\":[", "\"layers\":{},\"x\":["), "$.layers"},
      {manifest("\"layers\":[", "\"layers\":[],\"x\":["), "diff_ids"},
      {manifest("\"layers\":", "\"manifests\":[],\"layers\":"), "manifests"},
      {manifest("\"config\":", "\"config\":[],\"x\":"), "$.config"},
      {with_config("{"), "config"},
      {with_config("[]"), "config"},
      {with_config(R"({"architecture":"amd64","os":"linux"})"), "diff_ids"},
      {with_config(R"({"os":1,"rootfs":{"type":"layers","diff_ids":[]}})"), "config"},
      {with_config(R"({"rootfs":{"type":"layers","diff_ids":["x","y"]}})"), "config"},
  };
  fake_.AddImage("bad", "good", good);
  for (const auto& [text, expected] : cases) {
    fake_.AddManifest("bad", "1", text);
    const auto pulled = Pull("bad:1");
    ASSERT_FALSE(pulled.ok()) << text;
    EXPECT_THAT(pulled.status().message(), HasSubstr(expected)) << text;
    EXPECT_EQ(pulled.status().reason(), "registry_error") << pulled.status().message();
    ExpectSoundStore();
  }
  EXPECT_THAT(*store_.ListImages(), IsEmpty());
  // A manifest under a name that is another's digest.
  const std::string digest = testing::DigestText(good.manifest);
  fake_.AddManifest("bad", digest, schema1);
  EXPECT_EQ(Pull("bad@" + digest).status().code(), StatusCode::kDataLoss);
}

TEST_F(PullTest, LayersThatAreNotWhatTheConfigSaysAreRefused) {
  const std::string other = testing::DigestText("other");
  fake_.AddImage("app", "1", testing::MakeImage({Tar("a", "b")}, {.diff_ids = {other}}));
  const auto pulled = Pull("app:1");
  EXPECT_EQ(pulled.status().code(), StatusCode::kDataLoss);
  EXPECT_THAT(pulled.status().message(), HasSubstr("expected " + other));
  EXPECT_THAT(List("extracted"), IsEmpty());
  // Nor by way of a tree that is there already.
  const TestImage good = testing::MakeImage({Tar("x", "y")});
  fake_.AddImage("app", "good", good);
  ASSERT_TRUE(Pull("app:good").ok());
  fake_.AddImage("app", "2", testing::MakeImage({Tar("a", "b")}, {.diff_ids = {good.diff_ids[0]}}));
  EXPECT_EQ(Pull("app:2").status().code(), StatusCode::kDataLoss);
}

TEST_F(PullTest, UnsafeLayersAreRefusedAndNothingEscapes) {
  const TestImage image = testing::MakeImage({testing::TarBuilder().File("../escape", "x").Take()});
  fake_.AddImage("app", "1", image);
  const auto pulled = Pull("app:1");
  EXPECT_EQ(pulled.status().reason(), "invalid_archive");
  EXPECT_THAT(pulled.status().message(), HasSubstr(Short(testing::DigestText(image.layers[0]))));
  EXPECT_THAT(List("extracted"), IsEmpty());
  ExpectSoundStore();
}

TEST_F(PullTest, FailureAtAnyStepLeavesTheOldImageAndTheNextAttemptSucceeds) {
  fake_.AddImage("app", "1", testing::MakeImage({Tar("a", "old")}));
  ASSERT_TRUE(Pull("app:1").ok());
  const TestImage newer = testing::MakeImage({Tar("a", "1"), Tar("b", "2")});
  fake_.AddImage("app", "1", newer);
  RegistryOptions options = Options();
  options.max_parallel_layers = 1;
  int failures = 0;
  for (int n = 1;; ++n) {
    core::SetFailNth(n);
    const auto pulled = Pull(Open(options), Ref("app:1"));
    core::ClearFailpoints();
    if (pulled.ok()) break;
    ++failures;
    EXPECT_EQ(pulled.status().reason(), "failpoint") << pulled.status().message();
    EXPECT_TRUE(store_.GetImage(Ref("app:1").ToString()).ok());
    ExpectSoundStore();
  }
  EXPECT_GT(failures, 5);
  EXPECT_EQ(store_.GetImage(Ref("app:1").ToString())->manifest.ToString(),
            testing::DigestText(newer.manifest));
}

}  // namespace
}  // namespace minibox::registry
