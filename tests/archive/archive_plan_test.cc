// SPDX-License-Identifier: Apache-2.0
#include "store/archive_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "archive/image_archives.h"
#include "oci/media_types.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox::store {
namespace {

using ::minibox::testing::AddBlobs;
using ::minibox::testing::ArchiveFiles;
using ::minibox::testing::DigestText;
using ::minibox::testing::HexOf;
using ::minibox::testing::IndexEntry;
using ::minibox::testing::IndexOf;
using ::minibox::testing::Layout;
using ::minibox::testing::MakeImage;
using ::minibox::testing::Scratch;
using ::minibox::testing::TarBuilder;
using ::minibox::testing::TarOf;
using ::minibox::testing::TestImage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kRef[] = "\"org.opencontainers.image.ref.name\":\"";
constexpr char kImage[] = "\"io.containerd.image.name\":\"";

std::string Layer(std::string_view content) { return TarBuilder().File("f", content).Take(); }

// What a plan says, without pointers into the staged archive.
struct Planned {
  std::vector<std::string> names;
  std::string manifest, architecture;
  size_t layers;
};

class ArchivePlan : public ::testing::Test {
 protected:
  StatusOr<std::vector<Planned>> Plan(const std::string& tar,
                                      const Platform& platform = oci::HostPlatform()) {
    Scratch scratch;
    auto dir = core::RootDir::Open(scratch.path());
    if (!dir.ok()) return dir.status();
    auto staged = StagedArchive::Read(
        [&, position = size_t{0}](char* buffer, size_t size) mutable -> StatusOr<size_t> {
          const size_t count = std::min(size, tar.size() - position);
          std::copy_n(tar.data() + position, count, buffer);
          position += count;
          return count;
        },
        *dir, {});
    if (!staged.ok()) return staged.status();
    const auto images = PlanArchive(*staged, platform);
    if (!images.ok()) return images.status();
    std::vector<Planned> planned;
    for (const PlannedImage& image : *images) {
      Planned one{{},
                  image.descriptor.digest.ToString(),
                  image.config.platform.architecture,
                  image.layer_files.size()};
      for (const ImageRef& name : image.names) one.names.push_back(name.Shown());
      EXPECT_EQ(DigestText(image.manifest_bytes), one.manifest);
      planned.push_back(std::move(one));
    }
    return planned;
  }

  void ExpectRefused(const ArchiveFiles& files, const std::string& entry, const std::string& rule) {
    const auto planned = Plan(TarOf(files));
    ASSERT_FALSE(planned.ok()) << rule;
    const Status status = planned.status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_EQ(status.reason(), "invalid_archive") << status.ToString();
    EXPECT_EQ(status.field(), entry) << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr(rule));
  }

  const TestImage image_ = MakeImage({Layer("1"), Layer("2")});
};

TEST_F(ArchivePlan, OciLayout) {
  const TestImage other = MakeImage({Layer("3")});
  const auto planned = Plan(TarOf(Layout({{image_, "app:1"}, {other, ""}})));
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  ASSERT_EQ(planned->size(), 2u);
  EXPECT_THAT((*planned)[0].names, ElementsAre("app:1"));
  EXPECT_EQ((*planned)[0].manifest, DigestText(image_.manifest));
  EXPECT_EQ((*planned)[0].layers, 2u);
  EXPECT_THAT((*planned)[1].names, IsEmpty());
}

TEST_F(ArchivePlan, NamesOfALayout) {
  struct Row {
    std::string annotations, shown;
  };
  const Row table[] = {
      {kRef + std::string("app\""), "app"},
      {kImage + std::string("docker.io/library/app:1\""), "app:1"},
      // As MiniBox and as docker write both.
      {kRef + std::string("app\",") + kImage + "docker.io/library/app:latest\"", "app"},
      {kRef + std::string("1\",") + kImage + "docker.io/library/app:1\"", "app:1"},
      {kRef + std::string("v1.0+x\",") + kImage + "ghcr.io/a/b:1\"", "ghcr.io/a/b:1"},
  };
  for (const Row& row : table) {
    ArchiveFiles files = Layout({{image_, ""}});
    files["index.json"] =
        IndexOf({IndexEntry(oci::kOciManifest, image_.manifest, row.annotations)});
    const auto planned = Plan(TarOf(files));
    ASSERT_TRUE(planned.ok()) << planned.status().ToString();
    EXPECT_THAT((*planned)[0].names, ElementsAre(row.shown));
  }
}

TEST_F(ArchivePlan, OneImageWithSeveralNames) {
  const auto planned = Plan(TarOf(Layout({{image_, "a"}, {image_, "b:2"}, {image_, "a:latest"}})));
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  ASSERT_EQ(planned->size(), 1u);
  EXPECT_THAT((*planned)[0].names, ElementsAre("a", "b:2"));
}

TEST_F(ArchivePlan, OfSeveralPlatformsTheWantedOne) {
  const TestImage arm = MakeImage({Layer("arm")}, {.architecture = "arm64"});
  const TestImage s390 = MakeImage({Layer("s390")}, {.architecture = "s390x"});
  const TestImage amd = MakeImage({Layer("amd")}, {.architecture = "amd64"});
  ArchiveFiles blobs;
  for (const TestImage* image : {&arm, &amd}) AddBlobs(blobs, *image);
  const std::string attestation =
      R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:)" +
      std::string(64, '0') + R"(","size":1,"platform":{"os":"unknown","architecture":"unknown"}})";
  const std::vector<std::string> entries = {
      IndexEntry(oci::kOciManifest, arm.manifest, kRef + std::string("app\""), "arm64"),
      // Listed, but not in the archive.
      IndexEntry(oci::kOciManifest, s390.manifest, kRef + std::string("app\""), "s390x"),
      IndexEntry(oci::kOciManifest, amd.manifest, kRef + std::string("app\""), "amd64"),
      attestation};
  const std::string inner = IndexOf(entries);
  ArchiveFiles flat = blobs, nested = blobs;
  flat["index.json"] = inner;
  nested["blobs/sha256/" + HexOf(inner)] = inner;
  nested["index.json"] = IndexOf({IndexEntry(oci::kOciIndex, inner, kRef + std::string("app\""))});
  for (const ArchiveFiles* files : {&flat, &nested}) {
    for (const auto& [architecture, image] : {std::pair("amd64", &amd), std::pair("arm64", &arm)}) {
      const auto planned = Plan(TarOf(*files), {"linux", architecture, ""});
      ASSERT_TRUE(planned.ok()) << planned.status().ToString();
      ASSERT_EQ(planned->size(), 1u);
      EXPECT_EQ((*planned)[0].manifest, DigestText(image->manifest));
      EXPECT_THAT((*planned)[0].names, ElementsAre("app"));
    }
    const auto none = Plan(TarOf(*files), {"linux", "riscv64", ""});
    ASSERT_FALSE(none.ok());
    EXPECT_THAT(none.status().message(), HasSubstr("no image for linux/riscv64"));
  }
}

TEST_F(ArchivePlan, WithoutPlatformsTheConfigurationsSay) {
  const TestImage arm = MakeImage({Layer("arm")}, {.architecture = "arm64"});
  const TestImage amd = MakeImage({Layer("amd")}, {.architecture = "amd64"});
  const auto planned = Plan(TarOf(Layout({{arm, "app"}, {amd, "app"}})), {"linux", "arm64", ""});
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  ASSERT_EQ(planned->size(), 1u);
  EXPECT_EQ((*planned)[0].architecture, "arm64");
}

TEST_F(ArchivePlan, ASingleOneWhateverItsPlatform) {
  const TestImage foreign = MakeImage({Layer("x")}, {.architecture = "s390x"});
  const auto planned = Plan(TarOf(Layout({{foreign, "app"}})));
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  EXPECT_EQ((*planned)[0].architecture, "s390x");
}

TEST_F(ArchivePlan, DockerArchive) {
  const std::string plain = Layer("plain"), other = Layer("other");
  const TestImage image = MakeImage({plain, other}, {.compression = archive::Compression::kNone});
  const std::string table = "[{\"Config\":\"" + HexOf(image.config) +
                            ".json\",\"RepoTags\":[\"app:1\",\"ghcr.io/a/b:2\"],\"Layers\":"
                            "[\"one/layer.tar\",\"two/layer.tar\"]}]";
  const auto planned = Plan(TarBuilder()
                                .File("manifest.json", table)
                                .File("repositories", "{}")
                                .Symlink("two/layer.tar", "../three/layer.tar")
                                .File("one/layer.tar", plain)
                                .File("one/VERSION", "1.0")
                                .File(HexOf(image.config) + ".json", image.config)
                                .File("three/layer.tar", other)
                                .Take());
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  ASSERT_EQ(planned->size(), 1u);
  EXPECT_THAT((*planned)[0].names, ElementsAre("app:1", "ghcr.io/a/b:2"));
  // The same manifest as of the image itself: it depends on the blobs only.
  EXPECT_EQ((*planned)[0].manifest, DigestText(image.manifest));
}

TEST_F(ArchivePlan, DockerArchiveOfCompressedLayersWithoutTags) {
  for (const auto compression : {archive::Compression::kGzip, archive::Compression::kZstd}) {
    const TestImage image = MakeImage({Layer("x")}, {.compression = compression});
    const auto planned =
        Plan(TarOf({{"c", image.config},
                    {"l", image.layers[0]},
                    {"manifest.json", R"([{"Config":"c","RepoTags":null,"Layers":["l"]}])"}}));
    ASSERT_TRUE(planned.ok()) << planned.status().ToString();
    EXPECT_THAT((*planned)[0].names, IsEmpty());
    EXPECT_EQ((*planned)[0].manifest, DigestText(image.manifest));
  }
}

TEST_F(ArchivePlan, OlderForm) {
  const std::string hex = HexOf(image_.manifest);
  for (const std::string& digest : {hex, "sha256:" + hex}) {
    for (const std::string folder : {"blobs/sha256/", "blobs/", "blobs/sha256:"}) {
      ArchiveFiles files{{"meta.json", R"({"image":"app:1","manifest_digest":")" + digest + "\"}"},
                         {"blobs/" + hex + ".index.json", "not read"}};
      for (const std::string* blob :
           {&image_.manifest, &image_.config, &image_.layers[0], &image_.layers[1]}) {
        files[folder + HexOf(*blob)] = *blob;
      }
      const auto planned = Plan(TarOf(files));
      ASSERT_TRUE(planned.ok()) << planned.status().ToString();
      EXPECT_THAT((*planned)[0].names, ElementsAre("app:1"));
      EXPECT_EQ((*planned)[0].manifest, "sha256:" + hex);
    }
  }
}

TEST_F(ArchivePlan, OlderFormOfSeveralImages) {
  const TestImage other = MakeImage({Layer("3")});
  ArchiveFiles files;
  AddBlobs(files, image_);
  AddBlobs(files, other);
  files["meta.json"] = R"({"image":"a","manifest_digest":")" + HexOf(image_.manifest) +
                       R"(","images":[{"image":"a","manifest_digest":")" + HexOf(image_.manifest) +
                       R"("},{"image":"b","manifest_digest":")" + HexOf(other.manifest) + "\"}]}";
  const auto planned = Plan(TarOf(files));
  ASSERT_TRUE(planned.ok()) << planned.status().ToString();
  ASSERT_EQ(planned->size(), 2u);
  EXPECT_THAT((*planned)[1].names, ElementsAre("b"));
}

TEST_F(ArchivePlan, RefusesWhatDoesNotFit) {
  const ArchiveFiles good = Layout({{image_, "app"}});
  const std::string manifest = "blobs/sha256/" + HexOf(image_.manifest);
  const std::string config = "blobs/sha256/" + HexOf(image_.config);
  const std::string layer = "blobs/sha256/" + HexOf(image_.layers[1]);
  const auto with = [&](const std::string& name, const std::string& content) {
    ArchiveFiles files = good;
    files[name] = content;
    return files;
  };
  const auto without = [&](const std::string& name) {
    ArchiveFiles files = good;
    files.erase(name);
    return files;
  };
  ExpectRefused({}, "", "no image archive");
  ExpectRefused({{"etc/passwd", "x"}}, "", "no image archive");
  ExpectRefused(with("index.json", "{"), "index.json", "");
  ExpectRefused(with("index.json", IndexOf({})), "", "holds no image");
  ExpectRefused(with("oci-layout", R"({"imageLayoutVersion":"2.0"})"), "oci-layout", "version");
  ExpectRefused(without(manifest), manifest, "is missing");
  ExpectRefused(without(config), config, "is missing");
  ExpectRefused(without(layer), layer, "is missing");
  ExpectRefused(with(layer, "other content"), layer, "has the digest");
  ExpectRefused(with("index.json", IndexOf({IndexEntry("text/plain", image_.manifest)})), manifest,
                "unknown type");
  ExpectRefused(
      with("index.json",
           IndexOf({IndexEntry(oci::kOciManifest, image_.manifest, kRef + std::string("A B\""))})),
      "index.json", "image reference");
  std::string size = good.at("index.json");
  size.replace(size.find("\"size\":"), 7, "\"size\":1");
  ExpectRefused(with("index.json", size), manifest, "instead of");
  const TestImage short_config =
      MakeImage({Layer("1")}, {.diff_ids = {DigestText("x") + "\",\"" + DigestText("y")}});
  ExpectRefused(Layout({{short_config, "app"}}), "blobs/sha256/" + HexOf(short_config.config),
                "names 2 layers, the image has 1");
  const TestImage other = MakeImage({Layer("3")});
  ExpectRefused(Layout({{image_, "app"}, {other, "app"}}), "index.json", "several images");
}

TEST_F(ArchivePlan, RefusesDockerArchivesThatDoNotFit) {
  const std::string hex(64, '0');
  ExpectRefused({{"manifest.json", "{}"}}, "manifest.json", "expected an array");
  ExpectRefused({{"manifest.json", R"([{"Config":"c","Layers":[]}])"}}, "c", "is missing");
  ExpectRefused({{"manifest.json", R"([{"Config":"c","Layers":["l"]}])"}, {"c", "{}"}}, "l",
                "is missing");
  ExpectRefused({{"manifest.json", R"([{"Config":"c","Layers":["l"]}])"}, {"c", "{}"}, {"l", ""}},
                "c", "names 0 layers");
  ExpectRefused({{"manifest.json", "[{\"Config\":\"" + hex + ".json\",\"Layers\":[]}]"},
                 {hex + ".json", "{}"}},
                hex + ".json", "has the digest");
  ExpectRefused(
      {{"manifest.json", R"([{"Config":"c","RepoTags":["x y"],"Layers":[]}])"}, {"c", "{}"}},
      "manifest.json", "image reference");
}

TEST_F(ArchivePlan, RefusesMetaThatDoesNotFit) {
  ExpectRefused({{"meta.json", "{}"}}, "meta.json", "$.manifest_digest");
  ExpectRefused({{"meta.json", R"({"manifest_digest":"12"})"}}, "meta.json", "a digest");
}

}  // namespace
}  // namespace minibox::store
