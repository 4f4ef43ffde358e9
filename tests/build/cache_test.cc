// SPDX-License-Identifier: Apache-2.0
// What is built again, and what is not.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "build/build_fixture.h"
#include "core/failpoint.h"

namespace minibox::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(BuildTest, OnlyWhatDependsOnAChangeIsBuiltAgain) {
  const std::string text =
      "BASE busybox\nBLOCK copies\n  COPY --chmod=600 data /data/\n  RUN echo a\n"
      "BLOCK other\n  RUN echo b\nBLOCK app\n  NEED copies other\n  RUN echo c\n";
  Write("data/file", "1");
  const auto first = BuildOk(text);
  ASSERT_TRUE(first.image.ok());
  const auto same = BuildOk(text);
  EXPECT_TRUE(same.Has("[dag-summary] blocks=3 cached=3 built=0"));
  EXPECT_EQ(same.image->manifest, first.image->manifest);
  Write("data/file", "2");
  const auto changed = BuildOk(text);
  EXPECT_TRUE(changed.Has("[dag-summary] blocks=3 cached=1 built=2"));
  EXPECT_TRUE(changed.Has("[other] CACHED (<d>)"));
  // Back to what it was: everything is still there.
  Write("data/file", "1");
  EXPECT_TRUE(BuildOk(text).Has("[dag-summary] blocks=3 cached=3 built=0"));
  // A new name in the directory, a mode that --chmod hides, a time.
  Write("data/file", "1", 0777);
  fs::last_write_time(context_ + "/data/file", fs::file_time_type::clock::now());
  EXPECT_TRUE(BuildOk(text).Has("[dag-summary] blocks=3 cached=3 built=0"));
  Write("data/more", "");
  EXPECT_TRUE(BuildOk(text).Has("[dag-summary] blocks=3 cached=1 built=2"));
}

TEST_F(BuildTest, LongestCachedPrefixIsReused) {
  (void)BuildOk("BASE busybox\nBLOCK a\n  RUN echo 1 > /1\n  RUN echo 2 > /2\n  RUN echo 3 > /3\n");
  const auto result =
      BuildOk("BASE busybox\nBLOCK a\n  RUN echo 1 > /1\n  RUN echo 2 > /2\n  RUN echo x > /3\n");
  EXPECT_THAT(result.Of("[a]    ---> "),
              ElementsAre("1/3 RUN echo 1 > /1 (cached)", "2/3 RUN echo 2 > /2 (cached)",
                          "3/3 RUN echo x > /3"));
}

TEST_F(BuildTest, FromCountsByContent) {
  const auto text = [](const std::string& how) {
    return "BASE busybox\nBLOCK source\n  RUN " + how +
           "\nBLOCK app\n  COPY FROM=source /out /in\n";
  };
  (void)BuildOk(text("echo same > /out"));
  const auto result = BuildOk(text("echo different > /other; echo same > /out"));
  EXPECT_TRUE(result.Has("[source] DONE (<d>)"));
  EXPECT_TRUE(result.Has("[app] CACHED (<d>)"));
  EXPECT_TRUE(BuildOk(text("echo changed > /out")).Has("[app] DONE (<d>)"));
}

TEST_F(BuildTest, EqualBlocksAreBuiltOnce) {
  // Both stand for one key, so the script runs once; both are in the image.
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN echo ran; echo > /x\nBLOCK b\n  RUN echo ran; echo > /x\n"
      "BLOCK app\n  NEED a b\n  RUN ls /x\n");
  EXPECT_EQ(result.Count("] ran"), 1) << result.Text();
}

TEST_F(BuildTest, ConcurrentBuildsRunASharedStepOnce) {
  const BuildOptions options =
      Options("BASE busybox\nBLOCK a\n  RUN echo ran; sleep 0.3; echo > /x\n");
  std::vector<Result> results(4);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < results.size(); ++i) {
    threads.emplace_back([&, i] {
      BuildOptions mine = options;
      mine.image = "image" + std::to_string(i);
      results[i] = Build(mine);
    });
  }
  for (auto& thread : threads) thread.join();
  int ran = 0;
  for (const auto& result : results) {
    ASSERT_TRUE(result.image.ok()) << result.Text();
    EXPECT_EQ(result.image->manifest, results[0].image->manifest);
    ran += result.Count("] ran");
  }
  EXPECT_EQ(ran, 1);
}

TEST_F(BuildTest, WaiterTakesOverFromABuildThatIsCancelled) {
  const BuildOptions options =
      Options("BASE busybox\nBLOCK a\n  RUN echo ran; test -e /go || sleep 0.5; echo > /x\n");
  std::stop_source stop;
  std::thread first([&] {
    (void)engine_->builder->Build(
        options,
        [&](const BuildEvent& event) {
          if (event.text == "[a] ran") stop.request_stop();
          return Status();
        },
        stop.get_token());
  });
  const auto second = Build(options);
  first.join();
  EXPECT_TRUE(second.image.ok()) << second.Text();
}

TEST_F(BuildTest, WithoutCacheEverythingRunsAndReplacesWhatWasThere) {
  BuildOptions options =
      Options("BASE busybox\nBLOCK a\n  RUN cat /proc/sys/kernel/random/uuid > /id\n");
  const auto id = [&](const Result& result) { return Open(*result.image).Read("id"); };
  const auto first = Build(options);
  ASSERT_TRUE(first.image.ok()) << first.Text();
  options.use_cache = false;
  const auto second = Build(options);
  ASSERT_TRUE(second.image.ok()) << second.Text();
  EXPECT_NE(id(first), id(second));
  options.use_cache = true;
  const auto third = Build(options);
  ASSERT_TRUE(third.image.ok()) << third.Text();
  EXPECT_EQ(id(third), id(second));
  EXPECT_TRUE(third.Has("[a] CACHED (<d>)"));
}

TEST_F(BuildTest, DamagedSnapshotIsNoHit) {
  const std::string text = "BASE busybox\nBLOCK a\n  RUN echo > /x\n";
  (void)BuildOk(text);
  std::string key;
  for (const auto& name : DataEntries("layers")) {
    if (!name.ends_with(".json")) key = name;
  }
  ASSERT_FALSE(key.empty());
  std::ofstream(engine_->root + "/data/layers/" + key + ".json") << "{";
  const auto result = BuildOk(text);
  EXPECT_TRUE(
      result.Has("[a] Detected corrupted cache for " + key.substr(0, 12) + ", rebuilding..."))
      << result.Text();
  EXPECT_TRUE(result.Has("[a] DONE (<d>)"));
}

TEST_F(BuildTest, LostLayerIsMadeAgain) {
  const std::string text = "BASE busybox\nBLOCK a\n  RUN echo > /x\n";
  const auto first = BuildOk(text);
  ASSERT_TRUE(first.image.ok());
  const Image image = Open(*first.image);
  fs::remove_all(image.trees.back());
  fs::remove(engine_->root + "/data/blobs/sha256/" +
             std::string(image.manifest.layers.back().digest.hex()));
  const auto second = BuildOk(text);
  ASSERT_TRUE(second.image.ok());
  EXPECT_EQ(second.image->manifest, first.image->manifest);
  EXPECT_EQ(Open(*second.image).Read("x"), "\n");
}

// Fails the n-th named place of a build until it succeeds. TearDown and the leak check look
// for what is left.
TEST_F(BuildTest, EveryFailureLeavesNothing) {
  Write("file", "content");
  const BuildOptions options = Options(
      "BASE busybox\nBLOCK a\n  COPY file /x\n  RUN echo > /y\nBLOCK b\n  NEED a\n  WORKDIR /z\n");
  bool built = false;
  for (int n = 1; n < 500 && !built; ++n) {
    core::SetFailNth(n);
    const auto result = Build(options);
    core::ClearFailpoints();
    built = result.image.ok();
    if (!built) {
      EXPECT_FALSE(engine_->store->GetImage("built").ok()) << n;
      EXPECT_EQ(DataEntries("tmp"), std::vector<std::string>()) << n;
    }
  }
  EXPECT_TRUE(built);
}

TEST_F(BuildTest, RefusedBeforeItBegins) {
  const auto refuse = [&](BuildOptions options) {
    const Status status = engine_->builder->Validate(options);
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(engine_->builder->Build(options).status().message(), status.message());
    return status;
  };
  EXPECT_EQ(refuse(Options(" \n\t")).message(), "MiniBox content is required");
  const Status file = refuse(Options("BASE a\nBLOCK b\n  RNU x\n  NEED c\n"));
  EXPECT_EQ(file.reason(), "invalid_build_file");
  EXPECT_EQ(file.message(),
            "MiniBox:3:3: unknown directive 'RNU' (did you mean 'RUN'?)\n"
            "MiniBox:4:8: unknown block 'c'");
  BuildOptions options = Options("BASE busybox\n");
  options.image = "no good";
  EXPECT_EQ(refuse(options).reason(), "invalid_reference");
  options = Options("BASE busybox\n");
  options.context = "relative";
  EXPECT_EQ(refuse(options).reason(), "invalid_context");
  EXPECT_THAT(refuse(options).message(), HasSubstr("invalid build context: "));
  options = Options("BASE busybox\nBLOCK app\n");
  options.target = "ap";
  EXPECT_THAT(refuse(options).message(), HasSubstr("did you mean 'app'?"));
  // The environment of a local base is known, so this can be told.
  EXPECT_THAT(refuse(Options("BASE busybox\nENV A=${NOPE:?x}\n")).message(), HasSubstr("NOPE: x"));
  EXPECT_TRUE(engine_->builder->Validate(Options("BASE busybox\nENV A=${PATH:?x}\n")).ok());
}

}  // namespace
}  // namespace minibox::testing
