// SPDX-License-Identifier: Apache-2.0
// Disks that are full or may not be written to, and trees that lead astray: a clear error, and
// store and cache stay good.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "build/build_fixture.h"
#include "support/memory_disk.h"

namespace minibox::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A builder whose data root is a small disk.
class SmallDisk : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    if (!engine_) return;
    disk_.emplace(root_ + "/small", "64m");
    ASSERT_TRUE(disk_->mounted());
    small_.emplace(disk_->path(), 2);
    ASSERT_EQ(small_->failure, "");
    ASSERT_TRUE(AddBusyboxImage(*small_->store).ok());
  }
  void TearDown() override {
    small_.reset();
    disk_.reset();
    BuildTest::TearDown();
  }
  void ExpectSound() const {
    const auto report = small_->store->Verify();
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_TRUE(report->problems.empty());
    for (const auto& entry : fs::directory_iterator(disk_->path() + "/data/tmp")) {
      EXPECT_EQ(entry.path().extension(), ".lock") << entry.path();
    }
  }
  Result BuildSmall(std::string_view text) { return BuildWith(*small_, Options(text)); }

  std::optional<MemoryDisk> disk_;
  std::optional<Engine> small_;
};

TEST_F(SmallDisk, FullWhileFilesAreCopied) {
  const std::string small = "BASE busybox\nBLOCK a\n  COPY small /\n";
  Write("small", "small");
  Write("large", std::string(100u << 20, 'x'));
  const auto before = BuildSmall(small);
  ASSERT_TRUE(before.image.ok()) << before.Text();
  const auto full = BuildSmall("BASE busybox\nBLOCK a\n  COPY small /\n  COPY large /\n");
  ASSERT_FALSE(full.image.ok());
  EXPECT_EQ(full.image.status().reason(), "no_space") << full.image.status().ToString();
  EXPECT_THAT(full.lines.back(), HasSubstr("No space left on device"));
  EXPECT_THAT(full.lines.back(), HasSubstr("line 4 (block 'a'): COPY large /"));
  ExpectSound();
  // What was there before is there, and there is room for what fits.
  const auto after = BuildSmall(small);
  ASSERT_TRUE(after.image.ok()) << after.Text();
  EXPECT_TRUE(after.Has("[a] CACHED (<d>)"));
  EXPECT_EQ(after.image->manifest, before.image->manifest);
}

TEST_F(SmallDisk, FullWhileAStepWrites) {
  const auto full =
      BuildSmall("BASE busybox\nBLOCK a\n  RUN dd if=/dev/zero of=/large bs=1M count=100\n");
  ASSERT_FALSE(full.image.ok());
  EXPECT_THAT(full.Text(), HasSubstr("No space left on device"));
  EXPECT_THAT(full.lines.back(), HasSubstr("exit status 1"));
  ExpectSound();
  EXPECT_TRUE(BuildSmall("BASE busybox\nBLOCK a\n  RUN echo > /small\n").image.ok());
}

TEST_F(SmallDisk, FullWhileALayerIsWritten) {
  // Fits once, as it is, but not a second time as a layer.
  std::string noise;
  for (uint64_t state = 1; noise.size() < 40u << 20;) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    noise.append(reinterpret_cast<const char*>(&state) + 2, 6);
  }
  Write("noise", noise);
  const std::string text = "BASE busybox\nBLOCK a\n  COPY noise /\n";
  const auto full = BuildSmall(text);
  ASSERT_FALSE(full.image.ok());
  EXPECT_EQ(full.image.status().reason(), "no_space") << full.image.status().ToString();
  ExpectSound();
  // The step's result is kept, so that with more room only the layer is left to be made.
  ASSERT_TRUE(disk_->Resize("200m"));
  const auto after = BuildSmall(text);
  ASSERT_TRUE(after.image.ok()) << after.Text();
  EXPECT_TRUE(after.Has("[a] CACHED (<d>)"));
  EXPECT_EQ(after.image->manifest, BuildOk(text).image->manifest);
}

TEST_F(SmallDisk, ReadOnlyDataRoot) {
  const std::string text = "BASE busybox\nBLOCK a\n  COPY file /\n";
  Write("file", "content");
  const auto before = BuildSmall(text);
  ASSERT_TRUE(before.image.ok()) << before.Text();
  ASSERT_TRUE(disk_->SetReadOnly(true));
  const auto refused = BuildSmall(text);
  ASSERT_FALSE(refused.image.ok());
  EXPECT_THAT(refused.image.status().message(), HasSubstr("Read-only file system"));
  EXPECT_EQ(refused.image.status().code(), StatusCode::kPermissionDenied);
  // What is there can be looked at.
  EXPECT_EQ(small_->store->GetImage("built")->manifest, before.image->manifest);
  ASSERT_TRUE(disk_->SetReadOnly(false));
  ExpectSound();
  EXPECT_TRUE(BuildSmall(text).Has("[a] CACHED (<d>)"));
}

TEST_F(BuildTest, CyclesOfLinksEnd) {
  fs::create_directories(context_ + "/tree");
  fs::create_symlink("b", context_ + "/tree/a");
  fs::create_symlink("a", context_ + "/tree/b");
  fs::create_directory_symlink(".", context_ + "/tree/self");
  fs::create_directory_symlink("tree/..", context_ + "/around");
  const auto named = Build("BASE busybox\nBLOCK a\n  COPY tree/a /x\n");
  ASSERT_FALSE(named.image.ok());
  EXPECT_THAT(named.lines.back(), HasSubstr("Too many levels of symbolic links"));
  // As entries they are links like others; a glob goes through each directory once.
  const auto copied = BuildOk("BASE busybox\nBLOCK a\n  COPY tree /tree\n  COPY **/self /found/\n");
  ASSERT_TRUE(copied.image.ok());
  const std::string layer = Open(*copied.image).trees.back();
  EXPECT_EQ(fs::read_symlink(layer + "/tree/a"), "b");
  EXPECT_EQ(fs::read_symlink(layer + "/tree/self"), ".");
  // In the image: a destination that never ends.
  const auto endless = Build(
      "BASE busybox\nBLOCK a\n  RUN ln -s loop /loop\nBLOCK b\n  NEED a\n  COPY tree /loop/x/\n");
  ASSERT_FALSE(endless.image.ok());
  EXPECT_THAT(endless.lines.back(), HasSubstr("Too many levels of symbolic links"));
}

}  // namespace
}  // namespace minibox::testing
