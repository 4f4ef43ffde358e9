// SPDX-License-Identifier: Apache-2.0
// COPYs that are written as a difference to the last one: nobody may be able to tell.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <random>
#include <set>

#include "build/build_fixture.h"

namespace minibox::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
namespace fs = std::filesystem;

class CopyHistoryTest : public BuildTest {
 protected:
  void SetUp() override {
    BuildTest::SetUp();
    if (HasFatalFailure()) return;
    reference_.emplace(root_ + "/two", 2);
    ASSERT_EQ(reference_->failure, "");
    ASSERT_TRUE(AddBusyboxImage(*reference_->store).ok());
  }

  // Builds and compares with a build that copies everything.
  void BuildAndCompare(const std::string& text) {
    const auto result = BuildOk(text);
    ASSERT_TRUE(result.image.ok());
    BuildOptions options = Options(text);
    options.use_cache = false;
    const auto whole = BuildWith(*reference_, options);
    ASSERT_TRUE(whole.image.ok()) << whole.Text();
    ASSERT_EQ(result.image->manifest, whole.image->manifest) << result.Text();
  }

  // Files in the trees of the cache, each tree's apart; newest trees are those not in `before`.
  std::vector<std::vector<std::string>> NewTrees() {
    std::vector<std::vector<std::string>> trees;
    for (const auto& name : DataEntries("layers")) {
      if (name.ends_with(".json") || !seen_.insert(name).second) continue;
      std::vector<std::string>& files = trees.emplace_back();
      const std::string top = engine_->root + "/data/layers/" + name;
      for (const auto& entry : fs::recursive_directory_iterator(top)) {
        if (!entry.is_directory()) files.push_back(fs::relative(entry.path(), top));
      }
    }
    return trees;
  }

  std::optional<Engine> reference_;
  std::set<std::string> seen_;
};

TEST_F(CopyHistoryTest, OnlyWhatHasChangedIsWritten) {
  for (int i = 0; i < 20; ++i) Write("src/d/f" + std::to_string(i), "content");
  const std::string text = "BASE busybox\nBLOCK a\n  COPY src /src\n  RUN cat /src/d/f7 > /out\n";
  BuildAndCompare(text);
  (void)NewTrees();
  Write("src/d/f7", "changed");
  Write("src/new/file", "new");
  BuildAndCompare(text);
  auto trees = NewTrees();
  ASSERT_THAT(trees, SizeIs(2));  // of the COPY and of the RUN
  std::sort(trees.begin(), trees.end());
  std::sort(trees[1].begin(), trees[1].end());
  EXPECT_THAT(trees[0], ElementsAre("out"));
  EXPECT_THAT(trees[1], ElementsAre("src/d/f7", "src/new/file"));
  const auto again = BuildOk(text);
  EXPECT_TRUE(again.Has("[a] CACHED (<d>)"));
  EXPECT_EQ(Open(*again.image).Read("out"), "changed");
  // What has gone has to go, which a difference cannot say.
  fs::remove(context_ + "/src/d/f3");
  BuildAndCompare(text);
  EXPECT_EQ(Open(*BuildOk(text).image).Read("src/d/f3"), "(none)");
}

// In the base there is /data/seed: what of it shows again depends on what the layer leaves out.
TEST_F(CopyHistoryTest, WhatTheBaseHasToo) {
  const std::string text = "BASE busybox\nBLOCK a\n  COPY src /data\n";
  Write("src/other", "1");
  Write("src/seed", "own");
  BuildAndCompare(text);
  Write("src/seed", "from the image\n");
  BuildAndCompare(text);
  Write("src/seed", "own again");
  BuildAndCompare(text);
}

TEST_F(CopyHistoryTest, WhetherFilesAreLinkedCounts) {
  const std::string text = "BASE busybox\nBLOCK a\n  COPY src /src\n";
  const std::string a = Write("src/a", "same"), b = Write("src/b", "same");
  BuildAndCompare(text);
  fs::remove(b);
  fs::create_hard_link(a, b);
  BuildAndCompare(text);
  fs::remove(b);
  Write("src/b", "same");
  BuildAndCompare(text);
  Write("src/c", "new");
  BuildAndCompare(text);
}

TEST_F(CopyHistoryTest, ManyChangesEndWhereOneBuildWould) {
  // What a step sees but for the link counts of directories, which overlayfs does not tell of
  // those that several layers have.
  const std::string list = "find . | sort | xargs stat -c '%a %u %F %s %Y %n' > /out\n";
  for (const std::string& format : {"BASE busybox\nBLOCK a\n  COPY src /data\n  RUN cd /data && " +
                                        list + "BLOCK b\n  NEED a\n  RUN rm -rf /data/d1\n",
                                    "FROM busybox\nCOPY src/ /srv\nRUN cd /srv && " + list}) {
    std::minstd_rand random(7);
    const auto below = [&](unsigned n) { return static_cast<int>(random() % n); };
    fs::remove_all(context_ + "/src");
    for (int i = 0; i < 12; ++i) {
      Write("src/d" + std::to_string(i % 3) + "/f" + std::to_string(i), "first");
    }
    for (int round = 0; round < 12; ++round) {
      for (int change = 1 + below(3); change > 0; --change) {
        const std::string name =
            "src/d" + std::to_string(below(3)) + "/f" + std::to_string(below(14));
        const std::string path = context_ + "/" + name;
        struct ::stat st {};
        const bool is_directory = lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
        switch (is_directory ? 1 : below(9)) {
          case 0:
            chmod(path.c_str(), below(2) == 0 ? 0600 : 04755);
            break;
          case 1:
            fs::remove_all(path);
            break;
          case 2:
            fs::remove_all(path);
            fs::create_symlink("to" + std::to_string(round), path);
            break;
          case 3:
            fs::remove_all(path);
            Write(name + "/inner", "in a directory");
            break;
          case 4:
            chmod((context_ + "/src/d1").c_str(), below(2) == 0 ? 0700 : 0755);
            break;
          case 5:
            Write("src/seed", below(2) == 0 ? "from the image\n" : "other");
            break;
          case 6:
            fs::remove(path + ".link");
            if (S_ISREG(st.st_mode)) fs::create_hard_link(path, path + ".link");
            break;
          default:
            if (S_ISLNK(st.st_mode)) fs::remove(path);
            Write(name, "round " + std::to_string(round));
        }
      }
      BuildAndCompare(format);
      if (HasFatalFailure()) FAIL() << "round " << round << " of " << format;
      if (round == 6) {
        ASSERT_TRUE(engine_->store->Prune({.build_cache = true}).ok());
      }
    }
  }
}

TEST_F(CopyHistoryTest, DifferencesDoNotPileUp) {
  for (int i = 0; i < 3; ++i) Write("src/f" + std::to_string(i), "content");
  const std::string text = "BASE busybox\nBLOCK a\n  COPY src /src\n";
  size_t whole = 0;
  for (int round = 0; round < 20; ++round) {
    Write("src/f0", "round " + std::to_string(round));
    ASSERT_TRUE(BuildOk(text).image.ok());
    const auto trees = NewTrees();
    ASSERT_THAT(trees, SizeIs(1));
    if (trees.front().size() == 3) ++whole;
  }
  EXPECT_EQ(whole, 3u);
  BuildAndCompare(text);
  EXPECT_TRUE(engine_->store->Verify()->problems.empty());
}

TEST_F(CopyHistoryTest, ADifferenceWithoutWhatItLiesOverIsNoHit) {
  for (int i = 0; i < 3; ++i) Write("src/f" + std::to_string(i), "content");
  const std::string text = "BASE busybox\nBLOCK a\n  COPY src /src\n";
  ASSERT_TRUE(BuildOk(text).image.ok());
  const std::string first = *DataEntries("layers").begin();
  Write("src/f0", "changed");
  ASSERT_TRUE(BuildOk(text).image.ok());
  fs::remove_all(engine_->root + "/data/layers/" + first.substr(0, 64));
  const auto again = BuildOk(text);
  ASSERT_TRUE(again.image.ok());
  EXPECT_EQ(again.Count("Detected corrupted cache"), 1);
  BuildAndCompare(text);
  EXPECT_EQ(Open(*again.image).Read("src/f1"), "content");
}

}  // namespace
}  // namespace minibox::testing
