// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "build/build_fixture.h"
#include "core/fd.h"
#include "core/root_dir.h"

namespace minibox::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
namespace fs = std::filesystem;

std::vector<std::string> Names(const std::map<std::string, std::string>& listing) {
  std::vector<std::string> names;
  for (const auto& [path, what] : listing) names.push_back(path);
  return names;
}

TEST_F(BuildTest, CopyDestinations) {
  Write("one", "1");
  Write("two", "2");
  Write("dir/sub/file", "3");
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  WORKDIR /w\n  COPY one renamed\n  COPY one two many/\n  COPY one "
      ".\n"
      "  COPY dir /into\n  COPY dir/ /data/\n  COPY one /data\n  COPY t* deep/er/\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_THAT(Names(TopLayer(*result.image)),
              ElementsAre("data", "data/one", "data/sub", "data/sub/file", "into", "into/sub",
                          "into/sub/file", "w", "w/deep", "w/deep/er", "w/deep/er/two", "w/many",
                          "w/many/one", "w/many/two", "w/one", "w/renamed"));
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY one two /nowhere\n").lines.back(),
              HasSubstr("must be a directory"));
}

TEST_F(BuildTest, CopyOwnersAndModes) {
  Write("file", "x", 0640);
  Write("tree/run", "x", 04755);
  fs::permissions(context_ + "/tree", fs::perms(0750));
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  COPY file /plain\n  COPY --chown=www file /named\n"
      "  COPY --chown=7:www --chmod=0604 file /both\n  COPY --chown=1000 tree /tree\n"
      "  COPY --chmod=644 tree /modes\n");
  ASSERT_TRUE(result.image.ok());
  const auto layer = TopLayer(*result.image);
  EXPECT_THAT(layer,
              ElementsAre(Pair("both", "file 604 7:1000"), Pair("modes", "dir 755 0:0"),
                          Pair("modes/run", "file 644 0:0"), Pair("named", "file 640 1000:1000"),
                          Pair("plain", "file 640 0:0"), Pair("tree", "dir 750 1000:1000"),
                          Pair("tree/run", "file 4755 1000:1000")));
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY --chown=stranger file /x\n").lines.back(),
              HasSubstr("unknown user 'stranger'"));
}

TEST_F(BuildTest, CopyLinks) {
  Write("real/file", "x");
  fs::create_symlink("file", context_ + "/real/inner");
  fs::create_symlink("/etc/passwd", context_ + "/real/absolute");
  fs::create_symlink("real/file", context_ + "/named");
  fs::create_hard_link(context_ + "/real/file", context_ + "/real/hard");
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  COPY real /r\n  COPY named /n\n");
  ASSERT_TRUE(result.image.ok());
  const std::string tree = Open(*result.image).trees.back();
  EXPECT_EQ(fs::read_symlink(tree + "/r/inner"), "file");
  EXPECT_EQ(fs::read_symlink(tree + "/r/absolute"), "/etc/passwd");
  struct ::stat named {
  }, file{}, hard{};
  ASSERT_EQ(lstat((tree + "/n").c_str(), &named), 0);
  EXPECT_TRUE(S_ISREG(named.st_mode));
  ASSERT_EQ(lstat((tree + "/r/file").c_str(), &file), 0);
  ASSERT_EQ(lstat((tree + "/r/hard").c_str(), &hard), 0);
  EXPECT_EQ(file.st_ino, hard.st_ino);
}

TEST_F(BuildTest, CopyNeverLeavesContextOrRoot) {
  scratch_.Write("outside", "secret");
  fs::create_symlink("../outside", context_ + "/up");
  fs::create_symlink(root_ + "/outside", context_ + "/absolute");
  Write("file", "x");
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY up /x\n").lines.back(),
              HasSubstr("leads out of the context"));
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY absolute /x\n").lines.back(),
              HasSubstr("does not exist in the context"));
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY ../outside /x\n").image.status().message(),
              HasSubstr("leads out of the context"));
  // Links in the image lead into the image, whatever they say.
  const auto result = BuildOk("BASE busybox\nBLOCK links\n  RUN ln -s " + root_ +
                              "/host /door; ln -s ../../../../host2 /up\n"
                              "BLOCK a\n  NEED links\n  COPY file /door/\n  COPY file /up/\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_FALSE(fs::exists(root_ + "/host"));
  EXPECT_FALSE(fs::exists("/host2"));
  EXPECT_EQ(Open(*result.image).Read(root_.substr(1) + "/host/file"), "x");
  EXPECT_EQ(Open(*result.image).Read("host2/file"), "x");
  const auto from = BuildOk(
      "BASE busybox\nBLOCK links\n  RUN mkdir -p /etc && ln -s ../../../../../etc/passwd /steal\n"
      "BLOCK a\n  COPY FROM=links /steal /copy\n");
  EXPECT_THAT(Open(*from.image).Read("copy"), HasSubstr("/home/www"));
}

// Paths of a layer have at most 4096 bytes: what is longer is refused, at whatever depth.
TEST_F(BuildTest, CopyOfVeryDeepTrees) {
  const auto nest = [&](int levels) {
    core::Fd directory(open((context_ + "/deep").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < levels; ++i) {
      ASSERT_TRUE(mkdirat(directory.get(), "d234567890", 0755) == 0 || errno == EEXIST);
      directory.reset(openat(directory.get(), "d234567890", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      ASSERT_TRUE(directory.valid());
    }
    directory.reset(openat(directory.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
    ASSERT_TRUE(directory.valid());
  };
  fs::create_directory(context_ + "/deep");
  const std::string text =
      "BASE busybox\nBLOCK a\n  COPY deep /deep\n  RUN find /deep -name file\n";
  nest(300);
  std::string path = "deep";
  for (int i = 0; i < 300; ++i) path += "/d234567890";
  const auto built = BuildOk(text);
  ASSERT_TRUE(built.image.ok());
  EXPECT_EQ(Open(*built.image).Read(path + "/file"), "");
  EXPECT_TRUE(built.Has("[a] /" + path + "/file"));
  nest(400);
  const auto refused = Build(text);
  ASSERT_FALSE(refused.image.ok());
  EXPECT_TRUE(refused.Count("4096 bytes") > 0 || refused.Count("File name too long") > 0)
      << refused.lines.back().substr(0, 300);
  EXPECT_TRUE(engine_->store->Verify()->problems.empty());
  EXPECT_TRUE(core::RootDir::Open(context_)->RemoveAll("deep").ok());
}

TEST_F(BuildTest, CopyReplacesWhatIsInTheWay) {
  Write("a/thing", "file");
  Write("b/thing/inner", "x");
  const auto result = BuildOk(
      "BASE busybox\nBLOCK a\n  RUN mkdir -p /t/thing/old /u && echo > /u/thing\n"
      "BLOCK b\n  NEED a\n  COPY a /t\n  COPY b /u\n");
  ASSERT_TRUE(result.image.ok());
  const auto layer = TopLayer(*result.image);
  EXPECT_EQ(layer.at("t/thing"), "file 644 0:0");
  EXPECT_EQ(layer.at("u/thing"), "dir 755 0:0");
  EXPECT_EQ(layer.at("u/thing/inner"), "file 644 0:0");
}

TEST_F(BuildTest, CopyOfWhatIsThereAddsNothing) {
  Write("d/same", "same");
  Write("d/other", "1");
  const auto result =
      BuildOk("BASE busybox\nBLOCK a\n  COPY d /d\nBLOCK b\n  NEED a\n  COPY d /d\n  RUN true\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(Open(*result.image).trees.size(), 2u);
  const auto changed = BuildOk(
      "BASE busybox\nBLOCK a\n  COPY d /d\nBLOCK b\n  NEED a\n  RUN echo 2 > /d/other\n"
      "BLOCK c\n  NEED b\n  COPY d /d\n");
  EXPECT_THAT(Names(TopLayer(*changed.image)), ElementsAre("d", "d/other"));
}

TEST_F(BuildTest, CopyHonoursIgnoreFile) {
  Write(".miniboxignore", "*.log\nnode_modules/\n!keep.log\n");
  Write("a.log", "");
  Write("keep.log", "");
  Write("src/main", "");
  Write("src/node_modules/x", "");
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  COPY . /app\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_THAT(Names(TopLayer(*result.image)),
              ElementsAre("app", "app/.miniboxignore", "app/keep.log", "app/src", "app/src/main"));
  EXPECT_EQ(TopLayer(*result.image).at("app"), "dir 755 0:0");
  EXPECT_THAT(Build("BASE busybox\nBLOCK a\n  COPY a.log /\n").lines.back(),
              HasSubstr("'a.log' is ignored"));
}

TEST_F(BuildTest, CopyLeavesSpecialFilesOfTheContextOut) {
  Write("d/file", "");
  ASSERT_EQ(mkfifo((context_ + "/d/fifo").c_str(), 0600), 0);
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  COPY d /d\n");
  EXPECT_THAT(Names(TopLayer(*result.image)), ElementsAre("d", "d/file"));
  EXPECT_EQ(result.Count("warning: 'd/fifo' is left out"), 1);
  EXPECT_FALSE(Build("BASE busybox\nBLOCK a\n  COPY d/fifo /x\n").image.ok());
}

TEST_F(BuildTest, CopyFromABlockSeesItsCompleteRoot) {
  const auto result = BuildOk(
      "BASE busybox\nBLOCK lower\n  RUN mkdir /out && echo low > /out/low && chown 5:6 /out/low\n"
      "BLOCK upper\n  NEED lower\n  RUN echo up > /out/up && mkfifo /out/pipe && rm /data/seed\n"
      "BLOCK app\n  COPY FROM=upper /out /data /mine/\n  COPY --chown=9 --from=upper /out/l* "
      "/etc/passwd /also/\n");
  ASSERT_TRUE(result.image.ok());
  EXPECT_EQ(Open(*result.image).trees.size(), 2u);
  const auto layer = TopLayer(*result.image);
  EXPECT_THAT(Names(layer), ElementsAre("also", "also/low", "also/passwd", "mine", "mine/low",
                                        "mine/pipe", "mine/up"));
  EXPECT_EQ(layer.at("mine/low"), "file 644 0:0");
  EXPECT_EQ(layer.at("also/low"), "file 644 9:9");
}

TEST_F(BuildTest, CopyKeepsCapabilitiesFromABlockOnly) {
  const std::string attribute = "user.mark";
  const std::string file = Write("file", "x");
  if (setxattr(file.c_str(), attribute.c_str(), "v", 1, 0) != 0) {
    GTEST_SKIP() << "the file system has no user attributes";
  }
  const auto result = BuildOk("BASE busybox\nBLOCK a\n  COPY file /x\n");
  const std::string copy = Open(*result.image).trees.back() + "/x";
  EXPECT_LT(getxattr(copy.c_str(), attribute.c_str(), nullptr, 0), 0);
}

}  // namespace
}  // namespace minibox::testing
