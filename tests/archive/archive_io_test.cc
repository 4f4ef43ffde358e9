// SPDX-License-Identifier: Apache-2.0
// Store::Load against a store on disk.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "archive/image_archives.h"
#include "archive/nasty_tree.h"
#include "core/failpoint.h"
#include "core/fd.h"
#include "core/file.h"
#include "minibox/store.h"
#include "oci/media_types.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::ArchiveFiles;
using ::minibox::testing::Compressed;
using ::minibox::testing::DigestText;
using ::minibox::testing::HexOf;
using ::minibox::testing::Layout;
using ::minibox::testing::MakeImage;
using ::minibox::testing::ReadWholeFile;
using ::minibox::testing::RunShell;
using ::minibox::testing::Scratch;
using ::minibox::testing::TarBuilder;
using ::minibox::testing::TarOf;
using ::minibox::testing::TestImage;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Layer(std::string_view content) {
  return TarBuilder().Dir("etc").File("etc/content", content).Take();
}

class StoreLoad : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    auto store = Store::Open({.root = scratch_ / "data"});
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_.emplace(*std::move(store));
    before_ = Snapshot();
  }

  // Everything below the data root that an operation could leave.
  std::set<std::string> Snapshot() const {
    std::set<std::string> found;
    for (const char* folder : {"blobs", "extracted", "tmp", "leases"}) {
      for (const auto& entry : fs::recursive_directory_iterator(scratch_ / "data/" + folder)) {
        found.insert(entry.path().string());
      }
    }
    found.insert(ReadWholeFile(scratch_ / "data/index.json"));
    return found;
  }

  StatusOr<std::vector<ImageInfo>> Load(std::string_view bytes, ProgressFn progress = {},
                                        std::stop_token stop = {}) {
    const core::Fd file(open(scratch_.Write("archive", bytes).c_str(), O_RDONLY | O_CLOEXEC));
    return store_->Load(file.get(), std::move(progress), std::move(stop));
  }
  // Through a pipe, which cannot seek.
  StatusOr<std::vector<ImageInfo>> LoadFromPipe(std::string_view bytes) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    const core::Fd in(ends[0]);
    std::thread writer([&, out = core::Fd(ends[1])] {
      // A reader that fails closes its end.
      (void)core::WriteAll(out.get(), bytes);
    });
    auto loaded = store_->Load(in.get());
    char rest[4096];
    while (read(in.get(), rest, sizeof rest) > 0) {
    }
    writer.join();
    return loaded;
  }
  void ExpectNothingLeft() { EXPECT_EQ(Snapshot(), before_); }
  std::string Extracted(const std::string& diff_id, const std::string& name) const {
    return ReadWholeFile(scratch_ / "data/extracted/" + diff_id.substr(7) + "/" + name);
  }
  bool HasBlob(std::string_view bytes) const {
    return ReadWholeFile(scratch_ / "data/blobs/sha256/" + HexOf(bytes)) == bytes;
  }

  Scratch scratch_;
  std::optional<Store> store_;
  std::set<std::string> before_;
};

TEST_F(StoreLoad, EveryCompressionFromFileAndPipe) {
  const TestImage image = MakeImage({Layer("1"), Layer("2")});
  const std::string tar = TarOf(Layout({{image, "app"}}));
  for (const auto compression :
       {archive::Compression::kNone, archive::Compression::kGzip, archive::Compression::kZstd}) {
    const std::string packed = Compressed(compression, tar);
    for (const auto& loaded : {Load(packed), LoadFromPipe(packed)}) {
      ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
      ASSERT_EQ(loaded->size(), 1u);
      const ImageInfo& info = (*loaded)[0];
      EXPECT_EQ(info.name, "app");
      EXPECT_EQ(info.reference, "docker.io/library/app:latest");
      EXPECT_EQ(info.manifest.ToString(), DigestText(image.manifest));
      EXPECT_EQ(info.id.ToString(), DigestText(image.config));
    }
  }
  EXPECT_TRUE(HasBlob(image.manifest));
  EXPECT_TRUE(HasBlob(image.config));
  EXPECT_TRUE(HasBlob(image.layers[1]));
  EXPECT_EQ(Extracted(image.diff_ids[0], "etc/content"), "1");
  EXPECT_EQ(Extracted(image.diff_ids[1], "etc/content"), "2");
  const auto found = store_->GetImage("app:latest");
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  EXPECT_EQ(found->manifest.ToString(), DigestText(image.manifest));
  EXPECT_EQ(store_->ListImages()->size(), 1u);
  EXPECT_TRUE(fs::is_empty(scratch_ / "data/leases"));
}

TEST_F(StoreLoad, SeveralImagesAndNames) {
  const TestImage one = MakeImage({Layer("1")}), two = MakeImage({Layer("1"), Layer("2")});
  const auto loaded = Load(TarOf(Layout({{one, "a"}, {one, "b"}, {two, "c:2"}, {two, "MyApp"}})));
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  std::vector<std::string> names;
  for (const ImageInfo& info : *loaded) names.push_back(info.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "c:2", "MyApp"));
  EXPECT_EQ(store_->GetImage("MyApp")->manifest.ToString(), DigestText(two.manifest));
}

TEST_F(StoreLoad, ANamelessImageIsReportedByDigest) {
  const TestImage image = MakeImage({Layer("1")});
  const auto loaded = Load(TarOf(Layout({{image, ""}})));
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ((*loaded)[0].name, "");
  EXPECT_EQ((*loaded)[0].manifest.ToString(), DigestText(image.manifest));
  EXPECT_TRUE(store_->GetImage(DigestText(image.manifest)).ok());
}

TEST_F(StoreLoad, ALoadedNameMoves) {
  const TestImage one = MakeImage({Layer("1")}), two = MakeImage({Layer("2")});
  ASSERT_TRUE(Load(TarOf(Layout({{one, "app"}}))).ok());
  ASSERT_TRUE(Load(TarOf(Layout({{two, "docker.io/library/app"}}))).ok());
  EXPECT_EQ(store_->GetImage("app")->manifest.ToString(), DigestText(two.manifest));
  EXPECT_TRUE(store_->GetImage(DigestText(one.manifest)).ok()) << "nameless now";
}

TEST_F(StoreLoad, DockerArchiveOfAnotherTool) {
  ASSERT_EQ(access("/usr/bin/skopeo", X_OK), 0) << "scripts/setup test installs it";
  const TestImage image = MakeImage({Layer("1"), Layer("2")});
  for (const auto& [name, content] : Layout({{image, "app"}})) {
    scratch_.Write("layout/" + name, content);
  }
  const std::string skopeo = "skopeo --tmpdir " + scratch_.path() + " --insecure-policy copy ";
  RunShell(skopeo + "oci:" + (scratch_ / "layout:app") +
           " docker-archive:" + (scratch_ / "docker.tar") + ":example.org/app:7");
  RunShell(skopeo + "oci:" + (scratch_ / "layout:app") + " oci-archive:" + (scratch_ / "oci.tar") +
           ":example.org/app:8");
  const auto docker = LoadFromPipe(ReadWholeFile(scratch_ / "docker.tar"));
  ASSERT_TRUE(docker.ok()) << docker.status().ToString();
  EXPECT_EQ((*docker)[0].name, "example.org/app:7");
  EXPECT_EQ(Extracted(image.diff_ids[1], "etc/content"), "2");
  const auto layout = Load(ReadWholeFile(scratch_ / "oci.tar"));
  ASSERT_TRUE(layout.ok()) << layout.status().ToString();
  EXPECT_EQ((*layout)[0].reference, "example.org/app:8");
  EXPECT_EQ((*layout)[0].manifest.ToString(), DigestText(image.manifest));
}

TEST_F(StoreLoad, OlderImagesNameTheCompressedBlob) {
  const std::string tar = Layer("old");
  const TestImage image =
      MakeImage({tar}, {.diff_ids = {DigestText(Compressed(archive::Compression::kGzip, tar))}});
  const auto loaded = Load(TarOf(Layout({{image, "old"}})));
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  EXPECT_EQ(Extracted(DigestText(tar), "etc/content"), "old");
}

TEST_F(StoreLoad, ARefusalLeavesNothing) {
  const TestImage good = MakeImage({Layer("1")});
  const TestImage wrong = MakeImage({Layer("1")}, {.diff_ids = {DigestText("another")}});
  const TestImage hostile = MakeImage({Layer("1"), TarBuilder().File("../escape").Take()});
  const TestImage damaged = [&] {
    TestImage image = MakeImage({Layer("1")});
    image.layers[0].resize(image.layers[0].size() - 8);
    const TestImage again = MakeImage({Layer("1")});
    const auto replace = [&](std::string& text, const std::string& from, const std::string& to) {
      text.replace(text.find(from), from.size(), to);
    };
    replace(image.manifest, DigestText(again.layers[0]), DigestText(image.layers[0]));
    replace(image.manifest, "\"size\":" + std::to_string(again.layers[0].size()),
            "\"size\":" + std::to_string(image.layers[0].size()));
    return image;
  }();
  const std::string whole = TarOf(Layout({{good, "good"}}));
  const std::string packed = Compressed(archive::Compression::kGzip, whole);
  struct Row {
    std::string archive, message;
  };
  const Row table[] = {
      {"", "no image archive"},
      {"hello", "ends too early"},
      {std::string(1024, 'x'), "not a tar archive"},
      {whole.substr(0, whole.size() - 1024 - 100), "ends too early"},
      {packed.substr(0, packed.size() / 2), "ends too early"},
      {packed.substr(0, packed.size() - 4), "ends too early"},
      {TarOf(Layout({{good, "good"}, {wrong, "wrong"}})), "unpacks to"},
      {TarOf(Layout({{good, "good"}, {hostile, "hostile"}})), "entry '../escape'"},
      {TarOf(Layout({{good, "good"}, {damaged, "damaged"}})), "ends too early"},
      {TarOf(Layout({{good, "good"}, {good, "not a name"}})), "image reference"},
  };
  for (const Row& row : table) {
    for (const auto& loaded : {Load(row.archive), LoadFromPipe(row.archive)}) {
      ASSERT_FALSE(loaded.ok()) << row.message;
      EXPECT_EQ(loaded.status().code(), StatusCode::kInvalidArgument) << loaded.status().ToString();
      EXPECT_EQ(loaded.status().reason(), "invalid_archive") << loaded.status().ToString();
      EXPECT_THAT(loaded.status().message(), HasSubstr(row.message));
      ExpectNothingLeft();
    }
  }
}

TEST_F(StoreLoad, AHostileLayerIsNamed) {
  const TestImage hostile =
      MakeImage({Layer("1"), TarBuilder().Symlink("l", "/").HardLink("h", "l/etc/shadow").Take()});
  const auto loaded = Load(TarOf(Layout({{hostile, "x"}})));
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.status().message(),
              HasSubstr("layer 2 (" + HexOf(hostile.layers[1]).substr(0, 12) + ")"));
  EXPECT_EQ(loaded.status().field(), "h");
}

TEST_F(StoreLoad, ALayerThatTheStoreHasIsStillChecked) {
  const TestImage good = MakeImage({Layer("1")});
  ASSERT_TRUE(Load(TarOf(Layout({{good, "good"}}))).ok());
  before_ = Snapshot();
  // Claims the diff_id of an unpacked layer for other content.
  const TestImage liar = MakeImage({Layer("2")}, {.diff_ids = {DigestText(Layer("1"))}});
  const auto loaded = Load(TarOf(Layout({{liar, "liar"}})));
  ASSERT_FALSE(loaded.ok());
  EXPECT_THAT(loaded.status().message(), HasSubstr("unpacks to"));
  ExpectNothingLeft();
}

TEST_F(StoreLoad, EveryFailureLeavesNoName) {
  const std::string tar = TarOf(Layout({{MakeImage({Layer("1"), Layer("2")}), "app"}}));
  for (int n = 1;; ++n) {
    core::SetFailNth(n);
    const auto loaded = Load(tar);
    core::ClearFailpoints();
    if (loaded.ok()) {
      EXPECT_GT(n, 8) << "not many failpoints were passed";
      break;
    }
    EXPECT_THAT(*store_->ListImages(), IsEmpty()) << n;
    EXPECT_TRUE(fs::is_empty(scratch_ / "data/leases")) << n;
    for (const auto& entry : fs::directory_iterator(scratch_ / "data/tmp")) {
      EXPECT_TRUE(entry.is_regular_file()) << n << " left " << entry.path();
    }
  }
  EXPECT_TRUE(store_->GetImage("app").ok());
}

TEST_F(StoreLoad, StopsWhileThePipeIsSilent) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const core::Fd in(ends[0]), out(ends[1]);
  std::stop_source stop;
  const std::string tar = TarOf(Layout({{MakeImage({Layer("1")}), "app"}}));
  ASSERT_TRUE(core::WriteAll(out.get(), tar.substr(0, 700)).ok());
  std::optional<StatusOr<std::vector<ImageInfo>>> loaded;
  {
    std::jthread loader([&] { loaded = store_->Load(in.get(), {}, stop.get_token()); });
    stop.request_stop();
  }
  ASSERT_TRUE(loaded.has_value());
  ASSERT_FALSE(loaded->ok());
  EXPECT_EQ(loaded->status().code(), StatusCode::kCancelled);
  ExpectNothingLeft();
}

TEST_F(StoreLoad, ReportsProgress) {
  const TestImage image = MakeImage({TarBuilder().File("f", std::string(9u << 20, 'x')).Take()},
                                    {.compression = archive::Compression::kNone});
  std::vector<Progress> seen;
  const auto loaded = Load(TarOf(Layout({{image, "app"}})),
                           [&](const Progress& progress) { seen.push_back(progress); });
  ASSERT_TRUE(loaded.ok()) << loaded.status().ToString();
  std::set<Progress::Phase> phases;
  for (const Progress& progress : seen) phases.insert(progress.phase);
  EXPECT_THAT(phases, ElementsAre(Progress::Phase::kTransferring, Progress::Phase::kVerifying,
                                  Progress::Phase::kUnpacking, Progress::Phase::kDone));
  EXPECT_EQ(seen.back().subject, "app");
}

TEST_F(StoreLoad, ManyAtOnce) {
  const std::string tar = TarOf(Layout({{MakeImage({Layer("1"), Layer("2")}), "app"}}));
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i) {
      const std::string path = scratch_.Write("archive" + std::to_string(i), tar);
      threads.emplace_back([this, path, &good] {
        const core::Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
        good += store_->Load(file.get()).ok();
      });
    }
  }
  EXPECT_EQ(good, 6);
  EXPECT_EQ(store_->ListImages()->size(), 1u);
  for (const auto& entry : fs::directory_iterator(scratch_ / "data/tmp")) {
    EXPECT_TRUE(entry.is_regular_file()) << "left " << entry.path();
  }
}

}  // namespace
}  // namespace minibox
