// SPDX-License-Identifier: Apache-2.0
// Whole builds: what is in the image, what the log says.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "build/build_fixture.h"
#include "support/tree_listing.h"

namespace minibox::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
namespace fs = std::filesystem;

// What a container of the image "built" says, which is then removed.
std::string RunBuilt(const Engine& engine) {
  ContainerSpec spec;
  spec.image = "built";
  spec.network = "none";
  spec.remove_on_exit = true;
  std::string output;
  Runtime runtime = *engine.runtime;
  const auto exit = runtime.RunForeground(spec, [&](const OutputChunk& chunk) {
    output += chunk.bytes;
    return Status();
  });
  EXPECT_TRUE(exit.ok()) << exit.status().ToString();
  return output;
}

TEST_F(BuildTest, BlocksBecomeLayersOverTheBase) {
  Write("hello.txt", "hello\n");
  const auto result = BuildOk(
      "BASE busybox\nLABEL title=test\n"
      "BLOCK one\n  RUN echo 1 > /one\n"
      "BLOCK two\n  WORKDIR /srv/two\n  COPY hello.txt .\n"
      "BLOCK app\n  NEED one two\n  RUN cat /one hello.txt > /both\n  USER www\n  PORT 80\n"
      "START sh -c \"echo run\"\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(result.image->name, "built");
  const Image image = Open(*result.image);
  ASSERT_EQ(image.trees.size(), 4u);
  EXPECT_EQ(ReadWholeFile(image.trees[1] + "/one"), "1\n");
  EXPECT_EQ(ReadWholeFile(image.trees[2] + "/srv/two/hello.txt"), "hello\n");
  EXPECT_EQ(ReadWholeFile(image.trees[3] + "/both"), "1\nhello\n");
  EXPECT_EQ(image.config.working_dir, "/srv/two");
  EXPECT_EQ(image.config.user, "www");
  EXPECT_THAT(image.config.cmd, ElementsAre("sh", "-c", "echo run"));
  EXPECT_THAT(image.config.labels, ElementsAre(Pair("title", "test")));
  EXPECT_THAT(image.config.env, ElementsAre("PATH=/bin"));
  EXPECT_EQ(image.config.created.substr(0, 19), "1970-01-01T00:00:00");
  std::vector<std::string> history;
  for (const auto& entry : image.config.history) {
    history.push_back((entry.empty_layer ? "- " : "+ ") + entry.created_by);
  }
  EXPECT_THAT(history, ElementsAre("+ busybox", "- RUN echo 1 > /one", "+ BLOCK one",
                                   "- WORKDIR /srv/two", "- COPY hello.txt .", "+ BLOCK two",
                                   "- NEED one two", "- RUN cat /one hello.txt > /both",
                                   "- USER www", "- PORT 80", "+ BLOCK app"));
}

TEST_F(BuildTest, TheLogIsAsSpecified) {
  const std::string text =
      "BASE busybox\nSTART a\nSTART true\n"
      "BLOCK one\n  RUN echo out; echo err >&2; echo '[own] prefix'\n"
      "BLOCK unused\n  RUN false\n"
      "BLOCK app\n  NEED one\n  WORKDIR /w\n  COPY FROM=one /etc/passwd .\n";
  EXPECT_THAT(
      BuildOk(text).lines,
      ElementsAre("[build] START image=built", "[base] busybox: using local image",
                  "[base] busybox: ready (<d>)",
                  "[build] warning: 3:1: second START: it replaces that of line 2",
                  "[build] mode=dag blocks=2", "[unused] SKIPPED (not needed)",
                  "[dag] wave=1 ready=one", "[one] START needs= workdir=/",
                  "[one]    ---> 1/1 RUN echo out; echo err >&2; echo '[own] prefix'", "[one] out",
                  "[one] err", "[own] prefix", "[one] DONE (<d>)",
                  "[dag] wave=1 done cached=0 built=1 cpu_time=<d>", "[dag] wave=2 ready=app",
                  "[app] START needs=one workdir=/", "[app]    ---> 1/2 WORKDIR /w",
                  "[app]    ---> 2/2 COPY FROM=one /etc/passwd .", "[app] copy /etc/passwd -> /w",
                  "[app] DONE (<d>)", "[dag] wave=2 done cached=0 built=1 cpu_time=<d>",
                  "[dag-summary] blocks=2 cached=0 built=2", "[finalize] writing 1 layer(s)",
                  "[finalize] done (<d>)",
                  ::testing::StartsWith("[build] DONE image=built manifest="),
                  "Build completed successfully"));
  const auto again = BuildOk(text);
  EXPECT_THAT(again.Of("[one] "), ElementsAre("START needs= workdir=/", "CACHED (<d>)"));
  EXPECT_TRUE(again.Has("[dag-summary] blocks=2 cached=2 built=0"));
}

TEST_F(BuildTest, DeletionsAreWhiteoutsOnlyOfWhatIsBelow) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN rm /data/seed; mkdir /made; echo x > /made/x; echo y > /kept\n"
      "  RUN rm -r /made; rm -r /root; mkdir /root; echo z > /root/z\n");
  ASSERT_TRUE(result.image.ok());
  const auto layer = TopLayer(*result.image);
  std::vector<std::string> names;
  for (const auto& [path, what] : layer) names.push_back(path + " " + what.substr(0, 4));
  EXPECT_THAT(names,
              ElementsAre("data dir ", "data/seed whit", "kept file", "root dir ", "root/z file"));
}

TEST_F(BuildTest, WhatChangesNothingGivesNoLayer) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN true\n  RUN echo > /tmp/x && rm /tmp/x\n  WORKDIR /data\n"
      "BLOCK b\n  NEED a\n  RUN echo > /made\n  RUN rm /made\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(Open(*result.image).trees.size(), 1u);
  EXPECT_TRUE(result.Has("[finalize] writing 0 layer(s)"));
}

TEST_F(BuildTest, LayerUnpacksToWhatTheStepLeft) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN mkdir -p /d/e && echo x > /d/f && ln /d/f /d/g && ln -s f "
      "/d/h && chmod 4711 /d/f && chown 5:6 /d/e && mkfifo /d/p && rm -r /data && mkdir /data && "
      "rm /bin/wget && (nc -lU /d/socket & sleep 0.2; true)\n");
  ASSERT_TRUE(result.image.ok());
  const auto listing = [](const std::string& tree) {
    auto entries = ListTree(tree);
    // Nobody sees the times of a whiteout, and no archive has them.
    for (auto& [path, what] : entries) {
      if (what.starts_with("c ")) what = "whiteout";
    }
    return entries;
  };
  std::vector<std::string> snapshots;
  for (const auto& entry : fs::directory_iterator(engine_->root + "/data/layers")) {
    if (entry.is_directory()) snapshots.push_back(entry.path());
  }
  ASSERT_EQ(snapshots.size(), 1u);
  EXPECT_EQ(listing(Open(*result.image).trees.back()), listing(snapshots.front()));
}

// Snapshots of the cache and unpacked layers share no files, whatever a layer is made of.
TEST_F(BuildTest, ContainersSeeTheLinkCountsOfTheImage) {
  Write("file", "x");
  const auto result = BuildOk(
      "BASE busybox\nBLOCK one\n  COPY file /single\nBLOCK several\n  NEED one\n"
      "  COPY file /copied\n  RUN echo > /made && ln /made /again\n"
      "  START sh -c \"stat -c '%h %n' /single /copied /made /again\"\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(RunBuilt(*engine_), "1 /single\n1 /copied\n2 /made\n2 /again\n");
}

TEST_F(BuildTest, OtherToolsAcceptTheDataRoot) {
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  RUN echo x > /x && rm /data/seed\n");
  ASSERT_TRUE(result.image.ok());
  const std::string data = engine_->root + "/data";
  const auto [inspected, text] = RunProgram("skopeo inspect oci:" + data + ":built");
  EXPECT_EQ(inspected, 0) << text;
  EXPECT_THAT(text, HasSubstr(result.image->manifest.ToString()));
  const auto [unpacked, output] =
      RunProgram("umoci unpack --image " + data + ":built " + root_ + "/bundle");
  EXPECT_EQ(unpacked, 0) << output;
  EXPECT_EQ(ReadWholeFile(root_ + "/bundle/rootfs/x"), "x\n");
  EXPECT_FALSE(fs::exists(root_ + "/bundle/rootfs/data/seed"));
}

TEST_F(BuildTest, DigestDependsOnlyOnTheInput) {
  Write("src/b", "b");
  Write("src/a", "a", 0755);
  fs::create_symlink("a", context_ + "/src/link");
  BuildOptions options = Options(
      "BASE busybox\nARG V\nBLOCK x\n  RUN echo $V > /x; date > /dev/null; echo y > /root/y\n"
      "BLOCK y\n  COPY src /src/\nBLOCK z\n  RUN mkdir /z; touch /z/1 /z/2\n"
      "BLOCK app\n  NEED z x y\n  RUN rm /src/b; echo done > /done\n");
  options.args = {{"V", "7"}};
  const auto first = Build(options);
  ASSERT_TRUE(first.image.ok()) << first.Text();
  // Another data root, other workers, another time and order of files, another umask.
  fs::remove_all(context_ + "/src");
  const mode_t mask = umask(0077);
  fs::create_directories(context_ + "/src");
  fs::permissions(context_ + "/src", fs::perms(0755));
  fs::create_symlink("a", context_ + "/src/link");
  Write("src/a", "a", 0755);
  Write("src/b", "b");
  Engine other(root_ + "/two", 1);
  ASSERT_EQ(other.failure, "");
  ASSERT_TRUE(AddBusyboxImage(*other.store).ok());
  const auto second = BuildWith(other, options);
  umask(mask);
  ASSERT_TRUE(second.image.ok()) << second.Text();
  EXPECT_EQ(first.image->manifest, second.image->manifest);
  // Without the cache too.
  options.use_cache = false;
  const auto third = Build(options);
  ASSERT_TRUE(third.image.ok()) << third.Text();
  EXPECT_EQ(third.image->manifest, first.image->manifest);
  EXPECT_TRUE(third.Has("[dag-summary] blocks=4 cached=0 built=4"));
  options.source_date_epoch = 1'000'000'000;
  const auto later = Build(options);
  ASSERT_TRUE(later.image.ok()) << later.Text();
  EXPECT_EQ(Open(*later.image).config.created.substr(0, 10), "2001-09-09");
  struct ::stat st {};
  ASSERT_EQ(stat((Open(*later.image).trees.back() + "/done").c_str(), &st), 0);
  EXPECT_EQ(st.st_mtim.tv_sec, 1'000'000'000);
}

TEST_F(BuildTest, FurtherNamesAndLabels) {
  BuildOptions options = Options("BASE busybox\nBLOCK a\n  RUN echo > /a\n");
  options.tags = {"other:1", "localhost:5000/third"};
  options.labels = {{"from", "request"}};
  const auto result = Build(options);
  ASSERT_TRUE(result.image.ok()) << result.Text();
  for (const char* name : {"built", "other:1", "localhost:5000/third"}) {
    const auto image = engine_->store->GetImage(name);
    ASSERT_TRUE(image.ok()) << name;
    EXPECT_EQ(image->manifest, result.image->manifest);
    EXPECT_THAT(image->labels, ElementsAre(Pair("from", "request")));
  }
}

TEST_F(BuildTest, FileWithoutBlocks) {
  const auto base = engine_->store->GetImage("busybox");
  ASSERT_TRUE(base.ok());
  const auto same = BuildOk("BASE busybox\n");
  ASSERT_TRUE(same.image.ok());
  EXPECT_EQ(same.image->manifest, base->manifest);
  const auto labelled = BuildOk("BASE busybox\nLABEL a=b\nWORKDIR /w\n");
  ASSERT_TRUE(labelled.image.ok());
  EXPECT_NE(labelled.image->manifest, base->manifest);
  EXPECT_EQ(Open(*labelled.image).config.working_dir, "/w");
  EXPECT_EQ(Open(*labelled.image).trees.size(), 1u);
  const auto empty = BuildOk("BASE scratch\n");
  ASSERT_TRUE(empty.image.ok());
  EXPECT_EQ(Open(*empty.image).trees.size(), 0u);
}

TEST_F(BuildTest, BuiltImagesRun) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN echo made > /made && rm /data/seed\n  WORKDIR /w\n"
      "  START sh -c \"cat /made; pwd; ls /data\"\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(RunBuilt(*engine_), "made\n/w\n");
}

TEST_F(BuildTest, LinearFile) {
  Write("app/main", "program");
  const std::string text =
      "FROM busybox\nGOTO-FOLDER /app\nRUN echo $MODE > made\nSET-ENVIRONMENT MODE=prod\n"
      "IMPORT-FILE app/main .\nRUN-COMMAND echo $MODE\nLAUNCH ./main\n";
  const auto result = BuildOk(text);
  ASSERT_TRUE(result.image.ok());
  EXPECT_THAT(
      result.Of("[legacy] "),
      ElementsAre("Step 1: WORKDIR /app", " ---> Building...", "Step 2: RUN echo $MODE > made",
                  " ---> Building...", "Step 3: COPY app/main .", " ---> Building...",
                  "Step 4: RUN echo $MODE", " ---> Building...", "prod"));
  EXPECT_TRUE(result.Has("[build] mode=legacy-linear"));
  const Image image = Open(*result.image);
  ASSERT_EQ(image.trees.size(), 4u);
  EXPECT_EQ(ReadWholeFile(image.trees[2] + "/app/made"), "\n");
  EXPECT_EQ(ReadWholeFile(image.trees[3] + "/app/main"), "program");
  EXPECT_THAT(image.config.cmd, ElementsAre("./main"));
  std::string history;
  for (const auto& entry : image.config.history) history += entry.empty_layer ? '-' : '+';
  EXPECT_EQ(history, "+++-+--");
  EXPECT_EQ(BuildOk(text).Count("Using cache"), 4);
}

TEST_F(BuildTest, ArchivesAsBase) {
  const auto rootfs = BuildOk("BASE busybox\nBLOCK a\n  RUN echo archive > /from\n");
  ASSERT_TRUE(rootfs.image.ok());
  const std::string bundle = root_ + "/bundle";
  const auto [status, output] =
      RunProgram("umoci unpack --image " + engine_->root + "/data:built " + bundle);
  ASSERT_EQ(status, 0) << output;
  ASSERT_EQ(RunProgram("tar -C " + bundle + "/rootfs -cf " + context_ + "/plain.tar .").first, 0);
  ASSERT_EQ(RunProgram("gzip -k " + context_ + "/plain.tar").first, 0);
  ASSERT_EQ(RunProgram("zstd -q " + context_ + "/plain.tar").first, 0);
  ASSERT_EQ(RunProgram("skopeo copy -q oci:" + engine_->root +
                       "/data:built docker-archive:" + context_ + "/image.tar:loaded:1")
                .first,
            0);
  for (const char* name : {"plain.tar", "plain.tar.gz", "./plain.tar.zst", "image.tar"}) {
    const std::string text = std::string("BASE ") + name + "\nBLOCK x\n  RUN cat /from\n";
    const auto first = BuildOk(text);
    EXPECT_TRUE(first.Has(std::string("[base] ") + name + ": extracting local archive..."))
        << first.Text();
    EXPECT_TRUE(first.Has("[x] archive")) << first.Text();
    const auto second = BuildOk(text);
    EXPECT_TRUE(second.Has(std::string("[base] ") + name + ": using cached archive extract"));
    EXPECT_TRUE(second.Has("[x] CACHED (<d>)")) << second.Text();
  }
  const auto missing = Build("BASE nowhere.tar\n");
  EXPECT_EQ(
      missing.lines.back(),
      "Build failed: base 'nowhere.tar': neither a local image nor an archive in the context");
}

TEST_F(BuildTest, ScratchNeedsNoBase) {
  Write("file", "content");
  const auto result = BuildOk(
      "BASE busybox\nBLOCK files\n  BASE scratch\n  COPY file /opt/\n"
      "BLOCK app\n  NEED files\n  RUN cat /opt/file > /copy\n");
  ASSERT_TRUE(result.image.ok());
  const Image image = Open(*result.image);
  ASSERT_EQ(image.trees.size(), 3u);
  EXPECT_EQ(image.Read("copy"), "content");
}

}  // namespace
}  // namespace minibox::testing
