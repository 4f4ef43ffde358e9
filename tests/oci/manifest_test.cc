// SPDX-License-Identifier: Apache-2.0
#include "oci/manifest.h"

#include <gtest/gtest.h>

#include <string>

#include "oci/digest.h"
#include "oci/media_types.h"

namespace minibox::oci {
namespace {

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');

std::string ManifestText(const std::string& layers) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
         R"("config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
         kA + R"(","size":7},"layers":[)" + layers + "]}";
}

std::string LayerText(const std::string& type, const std::string& digest) {
  return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":5})";
}

TEST(Manifest, RoundTripIsByteForByte) {
  const std::string text = ManifestText(LayerText(std::string(kOciLayerGzip), kB));
  const auto manifest = ParseManifest(text);
  ASSERT_TRUE(manifest.ok()) << manifest.status().ToString();
  EXPECT_EQ(manifest->config.digest.ToString(), kA);
  EXPECT_EQ(manifest->config.size, 7u);
  ASSERT_EQ(manifest->layers.size(), 1u);
  EXPECT_EQ(manifest->layers[0].media_type, kOciLayerGzip);
  EXPECT_EQ(SerializeManifest(*manifest), text);
}

TEST(Manifest, DockerTypesAreWrittenAsOci) {
  const auto manifest = ParseManifest(
      R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
      R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":")" +
      kA + R"(","size":7},"layers":[)" + LayerText(std::string(kDockerLayerGzip), kB) + "]}");
  ASSERT_TRUE(manifest.ok()) << manifest.status().ToString();
  EXPECT_EQ(SerializeManifest(*manifest), ManifestText(LayerText(std::string(kOciLayerGzip), kB)));
}

TEST(Manifest, ErrorsNameThePath) {
  struct Row {
    std::string text, path;
  };
  const Row table[] = {
      {"[]", "$"},
      {"{}", "$.config"},
      {R"({"schemaVersion":1})", "$.schemaVersion"},
      {R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json"})",
       "$.mediaType"},
      {R"({"schemaVersion":2,"manifests":[]})", "$.manifests"},
      {ManifestText("7"), "$.layers[0]"},
      {ManifestText(LayerText("x", "sha256:1")), "$.layers[0].digest"},
      {ManifestText(LayerText("", kA)), "$.layers[0].mediaType"},
      {ManifestText(R"({"mediaType":"x","digest":")" + kA + R"(","size":-1})"), "$.layers[0].size"},
      {ManifestText(R"({"mediaType":"x","digest":")" + kA + R"(","size":"5"})"),
       "$.layers[0].size"},
      {ManifestText(R"({"mediaType":"x","digest":")" + kA + R"("})"), "$.layers[0].size"},
  };
  for (const Row& row : table) {
    const auto manifest = ParseManifest(row.text);
    ASSERT_FALSE(manifest.ok()) << row.text;
    EXPECT_EQ(manifest.status().code(), StatusCode::kInvalidArgument) << row.text;
    EXPECT_TRUE(manifest.status().message().starts_with(row.path + ":"))
        << row.text << "\n"
        << manifest.status().message();
  }
}

TEST(Manifest, AtMost500Layers) {
  std::string layers = LayerText("x", kB);
  for (int i = 1; i < 500; ++i) layers += "," + LayerText("x", kB);
  EXPECT_TRUE(ParseManifest(ManifestText(layers)).ok());
  const auto manifest = ParseManifest(ManifestText(layers + "," + LayerText("x", kB)));
  ASSERT_FALSE(manifest.ok());
  EXPECT_TRUE(manifest.status().message().starts_with("$.layers:"));
}

TEST(Manifest, AtMost4MiB) {
  EXPECT_FALSE(ParseManifest(std::string(4u << 20, ' ') + ManifestText("")).ok());
}

TEST(Index, RoundTrip) {
  Index index;
  index.manifests.push_back({std::string(kDockerManifest),
                             DigestOf("x"),
                             12,
                             Platform{"linux", "arm", "v7"},
                             {{"org.opencontainers.image.ref.name", "alpine"}}});
  index.manifests.push_back({std::string(kOciManifest), DigestOf("y"), 13});
  const std::string text = SerializeIndex(index);
  EXPECT_EQ(text.substr(0, 24), "{\n  \"schemaVersion\": 2,\n");
  const auto again = ParseIndex(text);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  ASSERT_EQ(again->manifests.size(), 2u);
  EXPECT_EQ(again->manifests[0].media_type, kDockerManifest);
  EXPECT_EQ(again->manifests[0].digest, DigestOf("x"));
  EXPECT_EQ(again->manifests[0].platform->variant, "v7");
  EXPECT_EQ(again->manifests[0].annotations, index.manifests[0].annotations);
  EXPECT_FALSE(again->manifests[1].platform.has_value());
  EXPECT_EQ(SerializeIndex(*again), text);
}

TEST(Index, AmbiguousDocumentsAreRefused) {
  const auto index = ParseIndex(R"({"schemaVersion":2,"manifests":[],"layers":[{}]})");
  ASSERT_FALSE(index.ok());
  EXPECT_TRUE(index.status().message().starts_with("$.layers:"));
}

Descriptor For(Platform platform) {
  return {std::string(kOciManifest), DigestOf(platform.architecture + platform.variant), 1,
          std::move(platform)};
}

TEST(SelectManifest, TakesTheWantedPlatform) {
  Index index{{For({"linux", "s390x", ""}), For({"linux", "amd64", ""}),
               For({"linux", "arm64", "v8"}), For({"unknown", "unknown", ""})}};
  EXPECT_EQ(SelectManifest(index, {"linux", "amd64", ""}), &index.manifests[1]);
  EXPECT_EQ(SelectManifest(index, {"linux", "arm64", ""}), &index.manifests[2]);
  EXPECT_EQ(SelectManifest(index, {"linux", "riscv64", ""}), nullptr);
  EXPECT_EQ(SelectManifest(index, {"windows", "amd64", ""}), nullptr);
}

TEST(SelectManifest, TakesASingleOneWhateverItIs) {
  Index index{{For({"unknown", "unknown", ""}), For({"linux", "s390x", ""})}};
  EXPECT_EQ(SelectManifest(index, {"linux", "amd64", ""}), &index.manifests[1]);
  Index plain{{{std::string(kOciManifest), DigestOf("x"), 1}}};
  EXPECT_EQ(SelectManifest(plain, HostPlatform()), &plain.manifests[0]);
  EXPECT_EQ(SelectManifest({}, HostPlatform()), nullptr);
}

TEST(MatchesPlatform, FillsInWhatIsEmpty) {
  EXPECT_TRUE(MatchesPlatform(HostPlatform(), Platform{}));
  EXPECT_TRUE(MatchesPlatform({"linux", "arm", "v7"}, {"linux", "arm", ""}));
  EXPECT_FALSE(MatchesPlatform({"linux", "arm", "v6"}, {"linux", "arm", ""}));
}

}  // namespace
}  // namespace minibox::oci
