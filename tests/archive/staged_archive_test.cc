// SPDX-License-Identifier: Apache-2.0
#include "store/staged_archive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "archive/image_archives.h"
#include "core/file.h"
#include "support/scratch.h"
#include "support/tar_builder.h"

namespace minibox::store {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::DigestText;
using ::minibox::testing::Scratch;
using ::minibox::testing::TarBuilder;

class StagedArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto dir = core::RootDir::Open(scratch_.path());
    ASSERT_TRUE(dir.ok());
    dir_ = *std::move(dir);
  }
  StatusOr<StagedArchive> Stage(std::string tar) {
    return StagedArchive::Read(
        [tar = std::move(tar), position = size_t{0}](char* buffer,
                                                     size_t size) mutable -> StatusOr<size_t> {
          const size_t count = std::min(size, tar.size() - position);
          std::copy_n(tar.data() + position, count, buffer);
          position += count;
          return count;
        },
        dir_, {});
  }
  size_t FilesStaged() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(scratch_.path()), {}));
  }
  Scratch scratch_;
  core::RootDir dir_;
};

TEST_F(StagedArchiveTest, FilesByName) {
  const auto staged = Stage(TarBuilder()
                                .Dir("blobs/")
                                .File("./blobs//a", "one")
                                .File("/b", "two")
                                .File("empty")
                                .File("manifest.json", "[]")
                                .Take());
  ASSERT_TRUE(staged.ok()) << staged.status().ToString();
  const StagedFile* file = staged->Find("blobs/a");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(file->digest.ToString(), DigestText("one"));
  EXPECT_EQ(file->size, 3u);
  EXPECT_EQ(*staged->ReadJson("blobs/a", *file), "one");
  EXPECT_NE(staged->Find("./b"), nullptr);
  EXPECT_EQ(staged->Find("empty")->size, 0u);
  EXPECT_EQ(staged->Find("blobs"), nullptr);
  EXPECT_EQ(staged->Find("manifest.json"), nullptr);
  ASSERT_NE(staged->Document("manifest.json"), nullptr);
  EXPECT_EQ(*staged->Document("manifest.json"), "[]");
  EXPECT_EQ(staged->Document("index.json"), nullptr);
}

TEST_F(StagedArchiveTest, LinksInsideTheArchive) {
  const auto staged = Stage(TarBuilder()
                                .Symlink("x/layer.tar", "../y/layer.tar")
                                .File("y/layer.tar", "content")
                                .HardLink("z", "x/layer.tar")
                                .Symlink("absolute", "/y/layer.tar")
                                .Symlink("out", "../../etc/passwd")
                                .Symlink("loop", "loop")
                                .Symlink("nowhere", "missing")
                                .Take());
  ASSERT_TRUE(staged.ok()) << staged.status().ToString();
  const StagedFile* file = staged->Find("y/layer.tar");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(staged->Find("x/layer.tar"), file);
  EXPECT_EQ(staged->Find("z"), file);
  EXPECT_EQ(staged->Find("absolute"), file);
  EXPECT_EQ(staged->Find("x/../y/layer.tar"), file);
  for (const char* name : {"out", "loop", "nowhere", "../y/layer.tar", ""}) {
    EXPECT_EQ(staged->Find(name), nullptr) << name;
  }
}

TEST_F(StagedArchiveTest, EqualContentIsKeptOnceAndTheLastNameWins) {
  const auto staged = Stage(
      TarBuilder().File("a", "same").File("b", "same").File("c", "old").File("c", "new").Take());
  ASSERT_TRUE(staged.ok()) << staged.status().ToString();
  EXPECT_EQ(staged->Find("a")->name, staged->Find("b")->name);
  EXPECT_EQ(*staged->ReadJson("c", *staged->Find("c")), "new");
  EXPECT_EQ(FilesStaged(), 3u);
}

TEST_F(StagedArchiveTest, NothingButFilesIsMade) {
  const auto staged = Stage(TarBuilder()
                                .Dir("d")
                                .Add({.name = "null", .type = '3', .major = 1, .minor = 3})
                                .Add({.name = "fifo", .type = '6'})
                                .File("../outside", "x")
                                .Take());
  ASSERT_TRUE(staged.ok()) << staged.status().ToString();
  EXPECT_EQ(FilesStaged(), 0u);
}

TEST_F(StagedArchiveTest, Limits) {
  const auto large =
      Stage(TarBuilder().File("index.json", std::string(kMaxArchiveJson + 1, ' ')).Take());
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.status().reason(), "invalid_archive");
  EXPECT_EQ(large.status().field(), "index.json");
  const auto blob = Stage(TarBuilder().File("c", std::string(kMaxArchiveJson + 1, ' ')).Take());
  ASSERT_TRUE(blob.ok());
  EXPECT_EQ(blob->ReadJson("c", *blob->Find("c")).status().field(), "c");
  TarBuilder many;
  for (int i = 0; i < 100'001; ++i) many.Dir("d");
  const auto entries = Stage(many.Take());
  ASSERT_FALSE(entries.ok());
  EXPECT_NE(entries.status().message().find("too many entries"), std::string::npos);
}

}  // namespace
}  // namespace minibox::store
