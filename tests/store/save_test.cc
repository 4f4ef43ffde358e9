// SPDX-License-Identifier: Apache-2.0
// Save, import, details and history through the public Store.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "archive/compression.h"
#include "archive/tar_reader.h"
#include "core/fd.h"
#include "core/json.h"
#include "store/leases.h"
#include "store_fixture.h"
#include "support/told_events.h"

namespace minibox::store {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SaveTest : public StoreFixture {
 protected:
  oci::Descriptor Add(std::string_view mark, const std::vector<ImageRef>& names, int layers = 1) {
    const oci::Descriptor entry = PutImage(blobs_, mark, layers);
    EXPECT_TRUE(references_.Register(entry, names).ok());
    return entry;
  }
  Status SaveTo(const std::string& path, const std::vector<std::string>& images,
                const SaveOptions& options = {}) {
    const core::Fd file(open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    return store_.Save(images, file.get(), options);
  }
  std::string Saved(const std::vector<std::string>& images, const SaveOptions& options = {}) {
    const Status saved = SaveTo(scratch_ / "archive", images, options);
    EXPECT_TRUE(saved.ok()) << saved.message();
    return testing::ReadWholeFile(scratch_ / "archive");
  }
  StatusOr<ImageInfo> Import(const std::string& bytes, const ImportOptions& options) {
    const core::Fd file(open(scratch_.Write("rootfs", bytes).c_str(), O_RDONLY | O_CLOEXEC));
    return store_.Import(file.get(), options);
  }
  static std::vector<std::pair<std::string, std::string>> Entries(const std::string& tar) {
    std::string_view left = tar;
    archive::TarReader reader([&](char* buffer, size_t size) -> StatusOr<size_t> {
      const size_t count = std::min(size, left.size());
      left.copy(buffer, count);
      left.remove_prefix(count);
      return count;
    });
    std::vector<std::pair<std::string, std::string>> entries;
    archive::TarEntry entry;
    while (*reader.Next(entry)) {
      EXPECT_EQ(entry.mtime, 0);
      EXPECT_EQ(entry.uid + entry.gid, 0u);
      EXPECT_EQ(entry.mode, entry.type == archive::TarType::kDirectory ? 0755u : 0644u);
      std::string content;
      for (auto bytes = *reader.ReadData(); !bytes.empty(); bytes = *reader.ReadData()) {
        content += bytes;
      }
      entries.emplace_back(entry.path, content);
    }
    return entries;
  }
  Store store_ = *Store::Open({.root = RootPath()});
};

TEST_F(SaveTest, TheArchiveIsBothFormsOverTheSameBlobs) {
  const oci::Descriptor a = Add("a", {Ref("a"), Ref("quay.io/x/a:2"), Ref("Local")}, 2);
  const auto entries = Entries(Saved({"a", "quay.io/x/a:2", "Local"}));
  ASSERT_GE(entries.size(), 10u);
  EXPECT_EQ(entries[0].first, "meta.json");
  EXPECT_EQ(entries[1].first, "oci-layout");
  EXPECT_EQ(entries[2].first, "index.json");
  EXPECT_EQ(entries[3].first, "manifest.json");
  EXPECT_EQ(entries[4].first, "blobs/");
  EXPECT_EQ(entries[5].first, "blobs/sha256/");
  for (size_t i = 6; i < entries.size(); ++i) {
    EXPECT_EQ(entries[i].first,
              core::StrCat("blobs/sha256/", oci::DigestOf(entries[i].second).hex()));
    if (i > 6) {
      EXPECT_LT(entries[i - 1].first, entries[i].first);
    }
  }
  EXPECT_EQ(entries.size(), 6u + 4);
  EXPECT_EQ(entries[0].second,
            core::StrCat(R"({"image":"a","manifest_digest":")", a.digest.hex(),
                         R"(","images":[{"image":"a","manifest_digest":")", a.digest.hex(),
                         R"("},{"image":"quay.io/x/a:2","manifest_digest":")", a.digest.hex(),
                         R"("},{"image":"Local","manifest_digest":")", a.digest.hex(), R"("}]})"));
  const json::Value table = *json::Parse(entries[3].second);
  ASSERT_EQ(table.size(), 1u);
  // What other tools cannot read is not for them.
  EXPECT_THAT(*table.At(0).GetStringArray("RepoTags"), ElementsAre("a:latest", "quay.io/x/a:2"));
  EXPECT_EQ(table.At(0).Get("Layers").size(), 2u);
  EXPECT_EQ(oci::ParseIndex(entries[2].second)->manifests.size(), 3u);
}

TEST_F(SaveTest, EqualImagesGiveEqualBytesWhateverElseTheStoreHas) {
  Add("a", {Ref("a")});
  const std::string first = Saved({"a"});
  Add("b", {Ref("b"), Ref("x")});
  EXPECT_EQ(Saved({"a"}), first);
  EXPECT_EQ(Saved({"a", "a:latest", "docker.io/library/a"}), first);
  for (const ArchiveCompression compression :
       {ArchiveCompression::kGzip, ArchiveCompression::kZstd}) {
    const std::string packed = Saved({"a"}, {.compression = compression});
    std::string_view left = packed;
    const archive::ReadFn plain =
        archive::Decompress([&](char* buffer, size_t size) -> StatusOr<size_t> {
          const size_t count = std::min(size, left.size());
          left.copy(buffer, count);
          left.remove_prefix(count);
          return count;
        });
    std::string unpacked(first.size() + 1, '\0');
    size_t total = 0;
    while (const size_t count = *plain(unpacked.data() + total, unpacked.size() - total)) {
      total += count;
    }
    unpacked.resize(total);
    EXPECT_EQ(unpacked, first);
  }
}

TEST_F(SaveTest, WhatIsSavedLoadsElsewhereWithTheSameDigest) {
  const oci::Descriptor a = Add("a", {Ref("a:1"), Ref("a:2")}, 2);
  const oci::Descriptor b = Add("b", {Ref("b")});
  Store other = *Store::Open({.root = scratch_ / "other"});
  const std::string digest = b.digest.ToString();
  ASSERT_TRUE(SaveTo(scratch_ / "archive", {"a:1", "a:2", digest}).ok());
  const core::Fd file(open((scratch_ / "archive").c_str(), O_RDONLY | O_CLOEXEC));
  const auto loaded = other.Load(file.get());
  ASSERT_TRUE(loaded.ok()) << loaded.status().message();
  ASSERT_EQ(loaded->size(), 3u);
  EXPECT_EQ(other.GetImage("a:2")->manifest, a.digest);
  // By digest it has no name.
  EXPECT_EQ(other.GetImage(digest.substr(7))->name, "");
  EXPECT_THAT(other.Verify()->problems, IsEmpty());
}

TEST_F(SaveTest, APipeGetsTheSameBytes) {
  Add("a", {Ref("a")}, 3);
  const std::string expected = Saved({"a"});
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const core::Fd reader(ends[0]);
  core::Fd writer(ends[1]);
  Status saved;
  std::thread thread([&] {
    saved = store_.Save({"a"}, writer.get());
    writer.reset();
  });
  std::string got;
  char buffer[4096];
  for (ssize_t count; (count = read(reader.get(), buffer, sizeof buffer)) > 0;) {
    got.append(buffer, static_cast<size_t>(count));
  }
  thread.join();
  EXPECT_TRUE(saved.ok());
  EXPECT_EQ(got, expected);
}

TEST_F(SaveTest, LargeBlobsAreCopiedAndVerified) {
  const std::string tar = testing::TarBuilder().File("f", std::string(5 << 20, 'x')).Take();
  ASSERT_TRUE(Import(tar, {.image = "big"}).ok());
  const auto entries = Entries(Saved({"big"}));
  EXPECT_THAT(entries, Contains(::testing::Pair(HasSubstr("blobs/sha256/"), tar)));
  const std::string blob = core::StrCat("root/blobs/sha256/", oci::DigestOf(tar).hex());
  std::string damaged = tar;
  damaged[2 << 20] = 'y';
  scratch_.Write(blob, damaged);
  const Status saved = SaveTo(scratch_ / "archive", {"big"});
  EXPECT_EQ(saved.code(), StatusCode::kDataLoss);
  EXPECT_THAT(saved.message(), HasSubstr("is damaged"));
}

TEST_F(SaveTest, ErrorsNameTheImageOrTheBlob) {
  const oci::Descriptor a = Add("a", {Ref("a")});
  EXPECT_EQ(SaveTo(scratch_ / "x", {}).field(), "image");
  const Status unknown = SaveTo(scratch_ / "x", {"a", "nobody"});
  EXPECT_EQ(unknown.reason(), "image_not_found");
  EXPECT_THAT(unknown.message(), HasSubstr("nobody"));
  const auto manifest = *oci::ParseManifest(*blobs_.Read(a.digest, 1 << 20));
  const std::string layer(manifest.layers[0].digest.hex());
  scratch_.Write("root/blobs/sha256/" + layer, std::string(manifest.layers[0].size, '?'));
  const Status damaged = SaveTo(scratch_ / "x", {"a"});
  EXPECT_EQ(damaged.code(), StatusCode::kDataLoss);
  EXPECT_THAT(damaged.message(), HasSubstr(layer));
  fs::remove(RootPath() + "/blobs/sha256/" + layer);
  EXPECT_EQ(SaveTo(scratch_ / "x", {"a"}).code(), StatusCode::kDataLoss);
  std::stop_source stop;
  stop.request_stop();
  Add("b", {Ref("b")});
  const core::Fd null(open("/dev/null", O_WRONLY | O_CLOEXEC));
  EXPECT_EQ(store_.Save({"b"}, null.get(), {}, {}, stop.get_token()).code(),
            StatusCode::kCancelled);
  EXPECT_THAT(ListDir("leases"), IsEmpty());
}

TEST_F(SaveTest, ImportMakesOneLayerOfTheBytesGiven) {
  const std::string tar = testing::TarBuilder().Dir("etc").File("etc/motd", "hello\n").Take();
  for (const archive::Compression format :
       {archive::Compression::kNone, archive::Compression::kGzip, archive::Compression::kZstd}) {
    std::string bytes;
    auto compressor = *archive::Compressor::Create(format, [&](std::string_view more) {
      bytes += more;
      return Status();
    });
    ASSERT_TRUE(compressor->Write(tar).ok() && compressor->Finish().ok());
    const auto image = Import(bytes, {.image = "mine:1", .message = "by hand"});
    ASSERT_TRUE(image.ok()) << image.status().message();
    EXPECT_EQ(image->name, "mine:1");
    const ImageDetails details = *store_.InspectImage("mine:1");
    ASSERT_EQ(details.layers.size(), 1u);
    EXPECT_EQ(details.layers[0].digest, oci::DigestOf(bytes));
    EXPECT_EQ(details.layers[0].diff_id, oci::DigestOf(tar));
    EXPECT_EQ(details.layers[0].size, bytes.size());
    EXPECT_EQ(testing::ReadWholeFile(
                  core::StrCat(RootPath(), "/extracted/", oci::DigestOf(tar).hex(), "/etc/motd")),
              "hello\n");
    const auto history = *store_.GetHistory("mine:1");
    ASSERT_EQ(history.size(), 1u);
    EXPECT_EQ(history[0].comment, "by hand");
    EXPECT_EQ(history[0].size, bytes.size());
  }
  EXPECT_THAT(store_.Verify()->problems, IsEmpty());
  ExpectNothingInTmp();
}

TEST_F(SaveTest, ARefusedImportLeavesNothing) {
  const auto refused = [&](const std::string& bytes, std::string_view why) {
    const auto image = Import(bytes, {.image = "mine"});
    EXPECT_EQ(image.status().code(), StatusCode::kInvalidArgument) << why;
    EXPECT_EQ(image.status().reason(), "invalid_archive");
    EXPECT_THAT(image.status().message(), HasSubstr(why));
    EXPECT_THAT(ListDir("blobs/sha256"), IsEmpty());
    EXPECT_THAT(ListDir("extracted"), IsEmpty());
    ExpectNothingInTmp();
  };
  refused("", "is empty");
  refused("certainly no tar, whatever it may be otherwise", "tar");
  refused(testing::TarBuilder().File("../x", "").Take(), "'..'");
  refused(testing::TarBuilder().File("x", std::string(5000, 'x')).Take().substr(0, 2048), "early");
  EXPECT_EQ(Import("", {.image = "not a name"}).status().reason(), "invalid_reference");
  EXPECT_EQ(
      Import("", {.image = core::StrCat("a@sha256:", std::string(64, '0'))}).status().reason(),
      "invalid_reference");
}

TEST_F(SaveTest, EachStepOfAnImportMayFailAndLeavesNoImage) {
  const std::string tar = testing::TarBuilder().File("f", "x").Take();
  const int failed = FailEachStep([&] { return Import(tar, {.image = "mine"}).status(); },
                                  [&] {
                                    EXPECT_THAT(Names(), IsEmpty());
                                    EXPECT_THAT(store_.Verify()->problems, IsEmpty());
                                    EXPECT_THAT(ListDir("leases"), IsEmpty());
                                  });
  EXPECT_GE(failed, 8);
  EXPECT_THAT(Names(), ElementsAre("mine"));
}

TEST_F(SaveTest, WhatHappensToImagesIsAnEvent) {
  Store& store = store_;
  ASSERT_TRUE(Import(testing::TarBuilder().File("a", "b").Take(), {.image = "made"}).ok());
  ASSERT_TRUE(SaveTo(scratch_ / "archive", {"made"}).ok());
  ASSERT_TRUE(store.TagImage("made", "other").ok());
  ASSERT_TRUE(store.RemoveImage("made").ok());
  ASSERT_TRUE(store.Prune({.dry_run = true}).ok());
  ASSERT_TRUE(store.Prune().ok());
  ASSERT_TRUE(store.CreateVolume("v").ok());
  ASSERT_TRUE(store.PruneVolumes({.all = true, .dry_run = true}).ok());
  ASSERT_TRUE(store.PruneVolumes({.all = true}).ok());
  EXPECT_THAT(
      testing::ToldEvents(root_->events()),
      ElementsAre("image.import made", "image.save made", "image.tag other", "image.remove made",
                  "image.prune", "volume.create", "volume.remove", "volume.prune"));
}

TEST_F(SaveTest, DetailsTellBytesLayersAndUsers) {
  const oci::Descriptor a = Add("a", {Ref("a")}, 2);
  scratch_.Write(
      "root/containers/11111111/state.json",
      core::StrCat(R"({"status":"exited","image_digest":")", a.digest.ToString(), R"("})"));
  const ImageDetails details = *store_.InspectImage("a");
  EXPECT_EQ(oci::DigestOf(details.manifest_json), a.digest);
  EXPECT_EQ(oci::DigestOf(details.config_json), details.info.id);
  EXPECT_THAT(details.layers, SizeIs(2));
  EXPECT_THAT(details.containers, ElementsAre("11111111"));
  EXPECT_TRUE(details.info.in_use);
  const std::string own = core::StrCat("linux/", oci::HostPlatform().architecture);
  EXPECT_TRUE(store_.InspectImage("a", own).ok());
  EXPECT_EQ(store_.InspectImage("a", "linux/s390x").status().reason(), "image_not_found");
  EXPECT_EQ(store_.InspectImage("a", "linux").status().field(), "platform");
}

TEST_F(SaveTest, HistoryIsNewestFirstAndMatchesLayers) {
  oci::ImageConfig config;
  config.platform = oci::HostPlatform();
  std::vector<oci::Descriptor> layers;
  for (const char* name : {"one", "two", "three"}) {
    const std::string tar = testing::TarBuilder().File(name, name).Take();
    const Digest digest = *blobs_.Put(tar);
    config.diff_ids.push_back(digest);
    layers.push_back({std::string(oci::kOciLayerTar), digest, tar.size()});
  }
  config.history = {{.created_by = "first"},
                    {.created_by = "ENV", .empty_layer = true},
                    {.created = "2026-01-02T03:04:05Z", .created_by = "second", .comment = "c"}};
  const std::string text = oci::SerializeImageConfig(config);
  const std::string manifest = oci::SerializeManifest(
      {{std::string(oci::kOciConfig), *blobs_.Put(text), text.size()}, layers});
  ASSERT_TRUE(
      references_
          .Register({std::string(oci::kOciManifest), *blobs_.Put(manifest), manifest.size()},
                    {Ref("h")})
          .ok());
  const auto history = *store_.GetHistory("h");
  ASSERT_EQ(history.size(), 4u);
  EXPECT_EQ(history[0].digest, layers[2].digest.ToString());  // the history forgot it
  EXPECT_EQ(history[1].created_by, "second");
  EXPECT_EQ(history[1].digest, layers[1].digest.ToString());
  EXPECT_EQ(history[1].comment, "c");
  EXPECT_TRUE(history[2].empty_layer);
  EXPECT_EQ(history[2].digest, "");
  EXPECT_EQ(history[2].size, 0u);
  EXPECT_EQ(history[3].digest, layers[0].digest.ToString());
}

}  // namespace
}  // namespace minibox::store
