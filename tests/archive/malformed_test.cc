// SPDX-License-Identifier: Apache-2.0
// Malformed manifests, configurations, indexes, archives and layers: each is refused by Store::Load
// with an error that names the object, and leaves neither image nor blob.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <set>

#include "archive/image_archives.h"
#include "core/fd.h"
#include "minibox/store.h"
#include "oci/media_types.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::AddBlobs;
using ::minibox::testing::ArchiveFiles;
using ::minibox::testing::Compressed;
using ::minibox::testing::DigestText;
using ::minibox::testing::HexOf;
using ::minibox::testing::IndexEntry;
using ::minibox::testing::IndexOf;
using ::minibox::testing::Layout;
using ::minibox::testing::MakeImage;
using ::minibox::testing::Scratch;
using ::minibox::testing::TarBuilder;
using ::minibox::testing::TarHeader;
using ::minibox::testing::TarOf;
using ::minibox::testing::TestImage;
using ::testing::HasSubstr;

struct Case {
  std::string name;
  std::string bytes;
  std::string expected;  // in the message
};

std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string Zeros() { return "sha256:" + std::string(64, '0'); }

TestImage Good() { return MakeImage({TarBuilder().File("file", "content").Take()}); }

// An OCI layout of whatever manifest and configuration.
std::string LayoutOf(const std::string& manifest, const TestImage& image) {
  ArchiveFiles files;
  AddBlobs(files, image);
  files["blobs/sha256/" + HexOf(manifest)] = manifest;
  files["oci-layout"] = R"({"imageLayoutVersion":"1.0.0"})";
  files["index.json"] = IndexOf({IndexEntry(oci::kOciManifest, manifest)});
  return TarOf(files);
}

std::string WithManifest(std::string_view from, std::string_view to) {
  const TestImage image = Good();
  return LayoutOf(Replaced(image.manifest, from, to), image);
}

std::string WithConfig(const std::string& config) {
  TestImage image = Good();
  const std::string old_digest = DigestText(image.config);
  const std::string old_size = "\"size\":" + std::to_string(image.config.size());
  image.manifest = Replaced(image.manifest, old_digest, DigestText(config));
  image.manifest = Replaced(image.manifest, old_size, "\"size\":" + std::to_string(config.size()));
  image.config = config;
  return LayoutOf(image.manifest, image);
}

std::string ChangedConfig(std::string_view from, std::string_view to) {
  return WithConfig(Replaced(Good().config, from, to));
}

std::string WithIndex(std::string index) {
  ArchiveFiles files = Layout({{Good(), "x"}});
  files["index.json"] = std::move(index);
  return TarOf(files);
}

std::string ChangedIndex(std::string_view from, std::string_view to) {
  return WithIndex(Replaced(Layout({{Good(), "x"}})["index.json"], from, to));
}

std::string WithFile(const std::string& name, std::string content) {
  ArchiveFiles files = Layout({{Good(), "x"}});
  files[name] = std::move(content);
  return TarOf(files);
}

std::string Without(const std::string& name) {
  ArchiveFiles files = Layout({{Good(), "x"}});
  EXPECT_EQ(files.erase(name), 1u) << name;
  return TarOf(files);
}

std::string WithLayer(const std::string& tar) { return TarOf(Layout({{MakeImage({tar}), "x"}})); }

std::string WithRawLayer(const std::string& blob) {
  TestImage image = Good();
  image.manifest = Replaced(image.manifest, DigestText(image.layers[0]), DigestText(blob));
  image.manifest = Replaced(image.manifest, "\"size\":" + std::to_string(image.layers[0].size()),
                            "\"size\":" + std::to_string(blob.size()));
  image.layers[0] = blob;
  return LayoutOf(image.manifest, image);
}

std::string Entry(const TarHeader& header) { return WithLayer(TarBuilder().Add(header).Take()); }

std::string DockerArchive(const std::string& table) {
  const TestImage image = Good();
  ArchiveFiles files;
  files["config.json"] = image.config;
  files["layer.tar"] = TarBuilder().File("file", "content").Take();
  files["manifest.json"] = table;
  return TarOf(files);
}

std::string Meta(const std::string& meta) {
  ArchiveFiles files;
  AddBlobs(files, Good());
  files["meta.json"] = meta;
  return TarOf(files);
}

std::vector<Case> Cases() {
  const TestImage good = Good();
  const std::string layout = TarOf(Layout({{good, "x"}}));
  const std::string manifest_hex = HexOf(good.manifest), config_hex = HexOf(good.config),
                    layer_hex = HexOf(good.layers[0]);
  const std::string gzip = Compressed(archive::Compression::kGzip, layout);
  const std::string zstd = Compressed(archive::Compression::kZstd, layout);
  std::string wrong_crc = gzip;
  wrong_crc[wrong_crc.size() - 5] = static_cast<char>(~wrong_crc[wrong_crc.size() - 5]);
  std::string many_layers;
  for (int i = 0; i < 501; ++i) {
    many_layers += (i > 0 ? ",{" : "{") + std::string("\"mediaType\":\"x/y\",\"digest\":\"") +
                   Zeros() + "\",\"size\":1}";
  }
  TarHeader truncated{.name = "f", .content = "x"};
  truncated.size = 5000;
  TarHeader negative{.name = "f"};
  negative.patches = {{124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"}};
  TarHeader bad_octal{.name = "f"};
  bad_octal.patches = {{100, "00x0644"}};
  return {
      // The archive itself.
      {"empty", "", "no image archive"},
      {"text", std::string(2000, 'x'), "tar"},
      {"no documents", TarBuilder().File("a", "b").Take(), "no image archive"},
      {"cut tar", layout.substr(0, 700), "early"},
      {"cut gzip", gzip.substr(0, gzip.size() / 2), "early"},
      {"cut zstd", zstd.substr(0, zstd.size() / 2), "early"},
      {"gzip checksum", wrong_crc, "checksum"},
      {"gzip of nothing", std::string("\x1f\x8b", 2), "archive: "},
      {"zstd of nothing", std::string("\x28\xb5\x2f\xfd", 4), "archive: "},
      {"garbage after gzip", gzip + "garbage", "archive: "},
      // Documents of a layout.
      {"layout version", WithFile("oci-layout", R"({"imageLayoutVersion":"2.0.0"})"), "oci-layout"},
      {"layout no JSON", WithFile("oci-layout", "{"), "oci-layout"},
      {"layout type", WithFile("oci-layout", R"({"imageLayoutVersion":1})"), "oci-layout"},
      {"index no JSON", WithIndex("{"), "index.json"},
      {"index no object", WithIndex("[]"), "index.json"},
      {"index schema", ChangedIndex("\"schemaVersion\":2", "\"schemaVersion\":1"), "index.json"},
      {"index type", ChangedIndex(oci::kOciIndex, "text/plain"), "index.json"},
      {"index of layers", WithIndex(R"({"schemaVersion":2,"layers":[]})"), "index.json"},
      {"index entries", WithIndex(R"({"schemaVersion":2,"manifests":{}})"), "index.json"},
      {"index empty", WithIndex(R"({"schemaVersion":2,"manifests":[]})"), "no image"},
      {"index entry text", WithIndex(R"({"schemaVersion":2,"manifests":["x"]})"), "manifests[0]"},
      {"index digest", ChangedIndex("sha256:", "sha512:"), "manifests[0].digest"},
      {"index digest path", ChangedIndex(manifest_hex, "../../../../etc/passwd"), "digest"},
      {"index size", ChangedIndex("\"size\":", "\"size\":-"), "size"},
      {"index size text", ChangedIndex("\"size\":", "\"size\":\"\",\"s\":"), "size"},
      {"index name", ChangedIndex("\"x\"", "\"Bad Name!\""), "index.json"},
      {"index duplicate key", WithIndex(R"({"schemaVersion":2,"schemaVersion":2})"), "index.json"},
      {"index UTF-8", WithIndex("{\"schemaVersion\":2,\"x\":\"\xff\"}"), "index.json"},
      {"index too large", WithIndex(std::string(5u << 20, ' ')), "4 MiB"},
      {"index too deep", WithIndex(std::string(100, '[') + std::string(100, ']')), "index.json"},
      // What the layout refers to.
      {"manifest missing", Without("blobs/sha256/" + manifest_hex), manifest_hex},
      {"config missing", Without("blobs/sha256/" + config_hex), config_hex},
      {"layer missing", Without("blobs/sha256/" + layer_hex), layer_hex},
      {"manifest bytes", WithFile("blobs/sha256/" + manifest_hex, "{}"), manifest_hex},
      {"config bytes", WithFile("blobs/sha256/" + config_hex, "{}"), config_hex},
      {"layer bytes", WithFile("blobs/sha256/" + layer_hex, "x"), layer_hex},
      {"manifest size", ChangedIndex("\"size\":", "\"size\":1"), manifest_hex},
      // The manifest.
      {"manifest schema", WithManifest("\"schemaVersion\":2", "\"schemaVersion\":1"), "2"},
      {"manifest no config", WithManifest("\"config\"", "\"konfig\""), "config"},
      {"manifest layers", WithManifest("\"layers\":[", "\"layers\":{\"a\":1},\"l\":["), "layers"},
      {"manifest is an index", WithManifest("\"layers\"", "\"manifests\""), "manifests"},
      {"manifest media type", WithManifest(oci::kOciManifest, "a/b"), "mediaType"},
      {"manifest layer digest", WithManifest(DigestText(good.layers[0]), "sha256:12"), "layers[0]"},
      {"manifest layer elsewhere", WithManifest(DigestText(good.layers[0]), Zeros()),
       std::string(64, '0')},
      {"manifest layer size",
       WithManifest("\"size\":" + std::to_string(good.layers[0].size()), "\"size\":3"), layer_hex},
      {"manifest config type", WithManifest(oci::kOciConfig, "application/vnd.a.helm"),
       "is no image"},
      {"manifest of 501 layers", WithManifest("\"layers\":[", "\"layers\":[" + many_layers + ","),
       "500 layers"},
      {"manifest text", LayoutOf("not JSON", good), "blobs/sha256/"},
      // The configuration.
      {"config text", WithConfig("not JSON"), "blobs/sha256/"},
      {"config list", WithConfig("[]"), "blobs/sha256/"},
      {"config without rootfs", ChangedConfig("rootfs", "r"), "layers"},
      {"config diff id", ChangedConfig("sha256:", "sha256:zz"), "diff_ids[0]"},
      {"config diff ids", ChangedConfig("\"diff_ids\":[", "\"diff_ids\":{},\"d\":["), "diff_ids"},
      {"config one too many", ChangedConfig("\"diff_ids\":[", "\"diff_ids\":[\"" + Zeros() + "\","),
       "names 2 layers"},
      {"config other diff id", ChangedConfig(good.diff_ids[0], Zeros()), "expected " + Zeros()},
      {"config Cmd", ChangedConfig("[\"/bin/sh\"]", "5"), "Cmd"},
      {"config Cmd element", ChangedConfig("\"/bin/sh\"", "5"), "Cmd[0]"},
      {"config object", ChangedConfig("{\"Cmd\":[\"/bin/sh\"]}", "7"), "config"},
      // docker-archive.
      {"table no list", DockerArchive("{}"), "manifest.json"},
      {"table empty", DockerArchive("[]"), "no image"},
      {"table row", DockerArchive("[5]"), "manifest.json"},
      {"table config missing", DockerArchive(R"([{"Config":"no.json","Layers":["layer.tar"]}])"),
       "no.json"},
      {"table layer missing", DockerArchive(R"([{"Config":"config.json","Layers":["no.tar"]}])"),
       "no.tar"},
      {"table without layers", DockerArchive(R"([{"Config":"config.json","Layers":[]}])"),
       "config.json"},
      {"table tag",
       DockerArchive(R"([{"Config":"config.json","RepoTags":["A B"],"Layers":["layer.tar"]}])"),
       "manifest.json"},
      {"table outside", DockerArchive(R"([{"Config":"../../etc/passwd","Layers":[]}])"), "passwd"},
      // The older form.
      {"meta text", Meta("?"), "meta.json"},
      {"meta no digest", Meta(R"({"image":"x"})"), "manifest_digest"},
      {"meta digest", Meta(R"({"image":"x","manifest_digest":"12"})"), "manifest_digest"},
      {"meta elsewhere", Meta(R"({"image":"x","manifest_digest":")" + std::string(64, '0') + "\"}"),
       std::string(64, '0')},
      {"meta name", Meta(R"({"image":"X Y","manifest_digest":")" + manifest_hex + "\"}"),
       "meta.json"},
      // Layers.
      {"layer no tar", WithRawLayer(std::string(600, 'x')), "layer 1"},
      {"layer cut", WithRawLayer(good.layers[0].substr(0, good.layers[0].size() - 9)), "layer 1"},
      {"layer climbs", Entry({.name = "../evil"}), "'..'"},
      {"layer climbs inside", Entry({.name = "a/../../evil"}), "'..'"},
      {"layer whiteout of nothing", Entry({.name = ".wh."}), "whiteout"},
      {"layer whiteout of parent", Entry({.name = "a/.wh..."}), "whiteout"},
      {"layer link climbs", Entry({.name = "l", .type = '1', .link = "../../etc/passwd"}), "'..'"},
      {"layer link to nothing", Entry({.name = "l", .type = '1', .link = "no"}), "does not exist"},
      {"layer link to directory", WithLayer(TarBuilder().Dir("d").HardLink("l", "d").Take()),
       "is a directory"},
      {"layer empty link", Entry({.name = "l", .type = '2'}), "symbolic link"},
      {"layer type", Entry({.name = "f", .type = 'Z'}), "unknown type"},
      {"layer file as parent", WithLayer(TarBuilder().File("f", "x").File("f/g", "y").Take()),
       "not a directory"},
      {"layer size", Entry(truncated), "early"},
      {"layer negative", Entry(negative), "number"},
      {"layer octal", Entry(bad_octal), "number"},
      {"layer checksum", Entry({.name = "f", .bad_checksum = true}), "tar"},
      {"layer component",
       WithLayer(TarBuilder().Pax({{"path", std::string(256, 'c')}}).File("f", "").Take()),
       "255 bytes"},
      {"layer path",
       WithLayer(TarBuilder()
                     .Pax({{"path",
                            [] {
                              std::string path;
                              for (int i = 0; i < 50; ++i) {
                                path += std::string(99, 'd') + "/";
                              }
                              return path + "f";
                            }()}})
                     .File("f", "")
                     .Take()),
       "4096 bytes"},
      {"layer overlay attribute",
       WithLayer(TarBuilder()
                     .Pax({{"SCHILY.xattr.trusted.overlay.redirect", "/etc"}})
                     .File("f", "")
                     .Take()),
       "is not allowed"},
      {"layer large attribute",
       WithLayer(TarBuilder()
                     .Pax({{"SCHILY.xattr.user.x", std::string((64u << 10) + 1, 'x')}})
                     .File("f", "")
                     .Take()),
       "64 KiB"},
      {"layer owner", WithLayer(TarBuilder().Pax({{"uid", "4294967295"}}).File("f", "").Take()),
       "owner"},
      {"layer pax length",
       WithLayer(TarBuilder()
                     .Add({.name = "p", .type = 'x', .content = "99 path=x\n"})
                     .File("f", "")
                     .Take()),
       "tar"},
      {"layer pax alone", WithLayer(TarBuilder().Pax({{"path", "x"}}).Take()), "extension header"},
      {"layer long name twice",
       WithLayer(TarBuilder().Long('L', "a").Long('L', "b").File("f", "").Take()), "long names"},
      {"layer sparse map",
       WithLayer(TarBuilder()
                     .Pax({{"GNU.sparse.major", "1"},
                           {"GNU.sparse.minor", "0"},
                           {"GNU.sparse.realsize", "10"}})
                     .File("f", "no map")
                     .Take()),
       "sparse"},
  };
}

class Malformed : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    store_.emplace(*Store::Open({.root = scratch_ / "data"}));
    before_ = Snapshot();
  }
  std::set<std::string> Snapshot() const {
    std::set<std::string> found;
    for (const char* folder : {"blobs", "extracted", "tmp", "leases"}) {
      for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "data/" + folder)) {
        found.insert(entry.path().string());
      }
    }
    found.insert(testing::ReadWholeFile(scratch_ / "data/index.json"));
    return found;
  }
  StatusOr<std::vector<ImageInfo>> Load(const std::string& bytes) {
    const core::Fd file(open(scratch_.Write("archive", bytes).c_str(), O_RDONLY | O_CLOEXEC));
    return store_->Load(file.get());
  }

  Scratch scratch_;
  std::optional<Store> store_;
  std::set<std::string> before_;
};

TEST_F(Malformed, TheCaseThatOthersAreMadeFromIsGood) {
  EXPECT_TRUE(Load(TarOf(Layout({{Good(), "x"}}))).ok());
  EXPECT_TRUE(Load(WithConfig(Good().config)).ok());
  EXPECT_TRUE(
      Load(DockerArchive(R"([{"Config":"config.json","RepoTags":["a"],"Layers":["layer.tar"]}])"))
          .ok());
  EXPECT_TRUE(
      Load(Meta(R"({"image":"x","manifest_digest":")" + HexOf(Good().manifest) + "\"}")).ok());
}

TEST_F(Malformed, EachIsRefusedByNameAndLeavesNothing) {
  const std::vector<Case> cases = Cases();
  EXPECT_GE(cases.size(), 60u);
  for (const Case& bad : cases) {
    const auto loaded = Load(bad.bytes);
    if (loaded.ok()) {
      ADD_FAILURE() << bad.name << ": loaded";
      continue;
    }
    EXPECT_EQ(loaded.status().code(), StatusCode::kInvalidArgument)
        << bad.name << ": " << loaded.status().ToString();
    EXPECT_EQ(loaded.status().reason(), "invalid_archive") << bad.name;
    EXPECT_THAT(loaded.status().message(), HasSubstr(bad.expected)) << bad.name;
    EXPECT_EQ(Snapshot(), before_) << bad.name;
    EXPECT_TRUE(store_->Verify()->problems.empty()) << bad.name;
  }
}

}  // namespace
}  // namespace minibox
