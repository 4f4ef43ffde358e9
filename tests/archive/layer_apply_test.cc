// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_apply.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>

#include "archive/nasty_tree.h"
#include "core/sha256.h"
#include "support/scratch.h"
#include "support/tar_builder.h"
#include "support/tree_listing.h"

namespace minibox::archive {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::ListTree;
using ::minibox::testing::MakeNastyTree;
using ::minibox::testing::ReadWholeFile;
using ::minibox::testing::RunShell;
using ::minibox::testing::Scratch;
using ::minibox::testing::TarBuilder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

ReadFn FromString(const std::string& bytes) {
  return [&bytes, position = size_t{0}](char* buffer, size_t size) mutable -> StatusOr<size_t> {
    const size_t count = std::min(size, bytes.size() - position);
    std::copy_n(bytes.data() + position, count, buffer);
    position += count;
    return count;
  };
}

class LayerApply : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    // A place that a hostile archive would like to reach.
    fs::create_directory(scratch_ / "root");
    scratch_.Write("outside/secret", "untouched");
    outside_before_ = ListTree(scratch_ / "outside");
  }
  void TearDown() override {
    if (IsSkipped()) return;
    EXPECT_EQ(ListTree(scratch_ / "outside"), outside_before_);
    EXPECT_FALSE(fs::exists("/mbx-archive-escape"));
  }

  StatusOr<Applied> Apply(const std::string& tar, const ApplyOptions& options = {}) {
    auto root = core::RootDir::Open(Root());
    if (!root.ok()) return root.status();
    return ApplyLayer(FromString(tar), *root, options);
  }
  std::string Root() const { return scratch_ / "root"; }
  std::string Path(std::string_view name) const { return Root() + "/" + std::string(name); }
  std::string Xattr(std::string_view name, const char* key) const {
    char value[256];
    const ssize_t size = lgetxattr(Path(name).c_str(), key, value, sizeof value);
    return size < 0 ? "none" : std::string(value, static_cast<size_t>(size));
  }
  bool IsWhiteout(std::string_view name) const {
    struct ::stat st {};
    return lstat(Path(name).c_str(), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
  }
  struct ::stat LStat(std::string_view name) const {
    struct ::stat st {};
    EXPECT_EQ(lstat(Path(name).c_str(), &st), 0) << name;
    return st;
  }
  void Reset() {
    fs::remove_all(Root());
    fs::create_directory(Root());
  }

  Scratch scratch_;
  std::map<std::string, std::string> outside_before_;
};

TEST_F(LayerApply, EveryTypeWithItsMetadata) {
  const mode_t mask = umask(077);
  const std::string tar =
      TarBuilder()
          .Add({.name = "./", .type = '5', .mode = 0711, .uid = 1, .gid = 2, .mtime = 11})
          .Add({.name = "d", .type = '5', .mode = 02777, .uid = 3, .gid = 4, .mtime = 22})
          .Pax({{"mtime", "33.000000044"}, {"uid", "4294967294"}, {"gid", "100000"}})
          .Add({.name = "d/f", .content = "hello", .mode = 06755})
          .Add({.name = "d/s", .type = '2', .link = "/etc/passwd", .uid = 7, .mtime = 55})
          .Add({.name = "d/c", .type = '3', .mode = 0666, .mtime = 66, .major = 1, .minor = 3})
          .Add({.name = "d/b", .type = '4', .mode = 0640, .gid = 6, .major = 8, .minor = 1})
          .Add({.name = "d/p", .type = '6', .mode = 0600, .uid = 5})
          .HardLink("h", "d/f")
          .HardLink("hs", "d/s")
          .Take();
  const auto applied = Apply(tar);
  umask(mask);
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(applied->diff_id.ToString(), "sha256:" + core::Sha256::Hex(tar));
  EXPECT_EQ(applied->entries, 9u);
  EXPECT_EQ(applied->bytes, 5u);
  EXPECT_TRUE(applied->notes.empty());
  const auto tree = ListTree(Root());
  const std::string hash = " #" + std::to_string(std::hash<std::string>()("hello"));
  EXPECT_EQ(tree.at("."), "d 711 1:2 11.0");
  EXPECT_EQ(tree.at("d"), "d 2777 3:4 22.0");
  EXPECT_EQ(tree.at("d/f"), "- 6755 4294967294:100000 5 33.44" + hash);
  EXPECT_EQ(tree.at("d/s"), "l 777 7:0 11 55.0 -> /etc/passwd");
  EXPECT_EQ(tree.at("d/c"), "c 666 0:0 66.0 1,3");
  EXPECT_EQ(tree.at("d/b"), "b 640 0:6 0.0 8,1");
  EXPECT_EQ(tree.at("d/p"), "p 600 5:0 0.0");
  EXPECT_EQ(tree.at("h"), "- 6755 4294967294:100000 5 33.44 = d/f" + hash);
  EXPECT_EQ(tree.at("hs"), "l 777 7:0 11 55.0 -> /etc/passwd = d/s");
}

TEST_F(LayerApply, MissingParentsArePlain) {
  const mode_t mask = umask(077);
  const auto applied = Apply(TarBuilder().Dir("g", 02777).File("g/a/b/f").Take());
  umask(mask);
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  const auto tree = ListTree(Root());
  EXPECT_EQ(tree.at("g/a"), "d 755 0:0 0.0");
  EXPECT_EQ(tree.at("g/a/b"), "d 755 0:0 0.0");
}

TEST_F(LayerApply, OfEqualPathsTheLastWins) {
  const auto applied = Apply(TarBuilder()
                                 .File("a", "1")
                                 .File("./a", "2")
                                 .File("b", "1")
                                 .Symlink("b", "a")
                                 .Dir("c")
                                 .File("c/x")
                                 .File("/c", "file")
                                 .Symlink("e", "a")
                                 .File("e", "e")
                                 .Dir("g", 0700)
                                 .File("g/x")
                                 .Dir("g/", 0750)
                                 .HardLink("h", "a")
                                 .HardLink("h", "e")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ReadWholeFile(Path("a")), "2");
  EXPECT_EQ(fs::read_symlink(Path("b")), "a");
  EXPECT_EQ(ReadWholeFile(Path("c")), "file");
  EXPECT_EQ(ReadWholeFile(Path("e")), "e");
  EXPECT_EQ(LStat("g").st_mode, S_IFDIR | 0750u);
  EXPECT_TRUE(fs::exists(Path("g/x")));
  EXPECT_EQ(LStat("h").st_ino, LStat("e").st_ino);
}

TEST_F(LayerApply, ADirectoryReplacedAndEnteredAgain) {
  const auto applied = Apply(
      TarBuilder().File("d/a/x", "1").Symlink("d", "other").Dir("other").File("d/a/x", "2").Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_TRUE(fs::is_symlink(Path("d")));
  EXPECT_EQ(ReadWholeFile(Path("other/a/x")), "2");
}

TEST_F(LayerApply, WritesThroughLinksStayInside) {
  const std::string up = "../../../../../../../../../../..";
  const auto applied = Apply(TarBuilder()
                                 .Symlink("abs", "/")
                                 .File("abs/one", "1")
                                 .Symlink("up", up)
                                 .File("up/two", "2")
                                 .Dir("d")
                                 .Symlink("d/sibling", "../real")
                                 .Dir("real")
                                 .File("d/sibling/three", "3")
                                 .Symlink("dangling", "/not/yet")
                                 .File("dangling/four", "4")
                                 .Symlink("out", scratch_ / "outside")
                                 .File("out/secret", "inside")
                                 .Symlink("magic", "/proc/self/root")
                                 .File("magic/mbx-archive-escape", "inside")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ReadWholeFile(Path("one")), "1");
  EXPECT_EQ(ReadWholeFile(Path("two")), "2");
  EXPECT_EQ(ReadWholeFile(Path("real/three")), "3");
  EXPECT_EQ(ReadWholeFile(Path("not/yet/four")), "4");
  EXPECT_EQ(ReadWholeFile(Path(scratch_ / "outside/secret")), "inside");
  EXPECT_EQ(ReadWholeFile(Path("proc/self/root/mbx-archive-escape")), "inside");
}

TEST_F(LayerApply, TheLastComponentIsNeverFollowed) {
  const auto applied = Apply(TarBuilder()
                                 .Symlink("f", scratch_ / "outside/secret")
                                 .File("f", "new")
                                 .Symlink("d", scratch_ / "outside")
                                 .Dir("d", 0700)
                                 .Symlink("l", scratch_ / "outside/secret")
                                 .HardLink("hard", "l")
                                 .Add({.name = "p", .type = '6'})
                                 .File("p", "no hang")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ReadWholeFile(Path("f")), "new");
  EXPECT_EQ(LStat("d").st_mode, S_IFDIR | 0700u);
  EXPECT_TRUE(fs::is_symlink(Path("hard")));
  EXPECT_EQ(ReadWholeFile(Path("p")), "no hang");
}

TEST_F(LayerApply, HardLinkTargetsAreResolvedInside) {
  const auto applied = Apply(TarBuilder()
                                 .File("etc/passwd", "mine")
                                 .HardLink("a", "/etc/passwd")
                                 .Symlink("abs", "/")
                                 .HardLink("b", "abs/etc/passwd")
                                 .HardLink("etc/passwd", "./etc//passwd")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ReadWholeFile(Path("a")), "mine");
  EXPECT_EQ(LStat("b").st_ino, LStat("etc/passwd").st_ino);
}

TEST_F(LayerApply, RefusalsNameTheEntryAndTheRule) {
  struct Row {
    std::string tar, entry, rule;
  };
  const std::string outside = scratch_ / "outside/secret";
  const Row table[] = {
      {TarBuilder().File("../x").Take(), "../x", "'..' component"},
      {TarBuilder().File("a/../../x").Take(), "a/../../x", "'..' component"},
      {TarBuilder().Add({.name = ""}).Take(), "", "empty path"},
      {TarBuilder().Long('L', std::string(256, 'n')).File("x").Take(), std::string(256, 'n'),
       "exceeds 255"},
      {TarBuilder().File("f").File("f/below").Take(), "f/below", "not a directory"},
      {TarBuilder().Symlink("l", "l").File("l/x").Take(), "l/x", ""},
      {TarBuilder().File(".").Take(), ".", "only be a directory"},
      {TarBuilder().HardLink("/", "x").Take(), "/", "only be a directory"},
      {TarBuilder().HardLink("h", "missing").Take(), "h", "does not exist in the layer"},
      {TarBuilder().HardLink("h", "missing/x").Take(), "h", "does not exist in the layer"},
      {TarBuilder().HardLink("h", outside).Take(), "h", "does not exist in the layer"},
      {TarBuilder().HardLink("h", "../outside/secret").Take(), "h", "'..' component"},
      {TarBuilder().Symlink("l", scratch_ / "outside").HardLink("h", "l/secret").Take(), "h",
       "does not exist in the layer"},
      {TarBuilder().Dir("d").HardLink("h", "d").Take(), "h", "is a directory"},
      {TarBuilder().HardLink("h", ".").Take(), "h", "is no file"},
      {TarBuilder().HardLink("h", "").Take(), "h", "empty path"},
      {TarBuilder().File(".wh.w").HardLink("h", "w").Take(), "h", "does not exist in the layer"},
      {TarBuilder().File("w").HardLink("h", ".wh.w").Take(), "h", "is no file"},
      {TarBuilder().Dir("d").File("d/f").HardLink("d", "d/f").Take(), "d",
       "does not exist in the layer"},
      {TarBuilder().Symlink("s", "").Take(), "s", "link to nothing"},
      {TarBuilder().Long('K', std::string(4096, 't')).Symlink("s", "").Take(), "s", "exceeds 4095"},
      {TarBuilder().Pax({{"uid", "4294967295"}}).File("f").Take(), "f", "owner out of range"},
      {TarBuilder().Pax({{"gid", "99999999999"}}).File("f").Take(), "f", "owner out of range"},
      {TarBuilder().Pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"}}).Dir("d").Take(), "d",
       "trusted.overlay.opaque"},
      {TarBuilder().Pax({{"SCHILY.xattr.user.overlay.redirect", "/x"}}).Dir("d").Take(), "d",
       "user.overlay.redirect"},
      {TarBuilder()
           .Pax({{"SCHILY.xattr.user.x", std::string((64u << 10) + 1, 'x')}})
           .File("f")
           .Take(),
       "f", "exceeds 64 KiB"},
      {TarBuilder().Add({.name = "u", .type = 'Q'}).Take(), "u", "unknown type 'Q'"},
      {TarBuilder().File(".wh.").Take(), ".wh.", "no name"},
      {TarBuilder().File("a/.wh...").Take(), "a/.wh...", "no name"},
      {TarBuilder().File(".wh.d/x").Take(), ".wh.d/x", "whiteout as directory"},
  };
  for (const Row& row : table) {
    Reset();
    const auto applied = Apply(row.tar);
    ASSERT_FALSE(applied.ok()) << row.entry << " " << row.rule;
    const Status status = applied.status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_EQ(status.reason(), "invalid_archive") << status.ToString();
    EXPECT_EQ(status.field(), row.entry) << status.ToString();
    EXPECT_THAT(status.message(), HasSubstr("entry '" + row.entry + "'"));
    EXPECT_THAT(status.message(), HasSubstr(row.rule));
  }
}

TEST_F(LayerApply, Limits) {
  const std::string tar = TarBuilder().File("a", "12345").File("b", "67890").Take();
  EXPECT_TRUE(Apply(tar, {.max_entries = 2, .max_bytes = 10}).ok());
  Reset();
  auto applied = Apply(tar, {.max_entries = 1});
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.status().field(), "b");
  EXPECT_THAT(applied.status().message(), HasSubstr("too many entries"));
  Reset();
  applied = Apply(tar, {.max_bytes = 9});
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.status().field(), "b");
  EXPECT_THAT(applied.status().message(), HasSubstr("too large"));
}

TEST_F(LayerApply, ABombIsStopped) {
  std::string packed;
  auto compressor = Compressor::Create(Compression::kZstd, [&](std::string_view bytes) {
    packed += bytes;
    return Status();
  });
  ASSERT_TRUE(compressor.ok());
  ASSERT_TRUE(
      (*compressor)->Write(TarBuilder().File("zeros", std::string(64u << 20, 0)).Take()).ok());
  ASSERT_TRUE((*compressor)->Finish().ok());
  auto root = core::RootDir::Open(Root());
  ASSERT_TRUE(root.ok());
  const auto applied = ApplyLayer(Decompress(FromString(packed), 1u << 20), *root);
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.status().reason(), "invalid_archive");
  EXPECT_EQ(applied.status().field(), "zeros");
  EXPECT_LT(fs::file_size(Path("zeros")), 64u << 20);
}

TEST_F(LayerApply, StopsWhenAsked) {
  auto root = core::RootDir::Open(Root());
  ASSERT_TRUE(root.ok());
  std::stop_source stop;
  const std::string tar = TarBuilder().File("a", std::string(1u << 20, 'x')).Take();
  const ReadFn source = FromString(tar);
  const auto applied = ApplyLayer(
      [&](char* buffer, size_t size) {
        stop.request_stop();
        return source(buffer, std::min<size_t>(size, 4096));
      },
      *root, {}, stop.get_token());
  ASSERT_FALSE(applied.ok());
  EXPECT_EQ(applied.status().code(), StatusCode::kCancelled);
}

TEST_F(LayerApply, Xattrs) {
  const std::string capability("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  const std::string acl(
      "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\2\0\7\0\xe8\3\0\0\4\0\5\0\xff\xff\xff\xff"
      "\x10\0\7\0\xff\xff\xff\xff\x20\0\5\0\xff\xff\xff\xff",
      44);
  const auto applied = Apply(TarBuilder()
                                 .Pax({{"SCHILY.xattr.system.posix_acl_default", acl}})
                                 .Dir("d", 0775)
                                 .Pax({{"SCHILY.xattr.security.capability", capability},
                                       {"SCHILY.xattr.user.a", "1"},
                                       {"SCHILY.xattr.trusted.b", "2"},
                                       {"SCHILY.xattr.security.selinux", "label"},
                                       {"SCHILY.xattr.something.else", "x"}})
                                 .Add({.name = "d/f", .content = "x", .mode = 0755, .uid = 5})
                                 .Dir("d/sub")
                                 .Pax({{"SCHILY.xattr.trusted.link", "3"}})
                                 .Symlink("d/s", "f")
                                 .Pax({{"SCHILY.xattr.user.not-on-links", "4"}})
                                 .Symlink("d/t", "f")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(Xattr("d/f", "security.capability"), capability);
  EXPECT_EQ(Xattr("d/f", "user.a"), "1");
  EXPECT_EQ(Xattr("d/f", "trusted.b"), "2");
  EXPECT_EQ(Xattr("d/f", "security.selinux"), "none");
  EXPECT_EQ(Xattr("d/s", "trusted.link"), "3");
  EXPECT_THAT(applied->notes, ElementsAre("'d/t': attribute user.not-on-links left out"));
  EXPECT_EQ(Xattr("d", "system.posix_acl_default"), acl);
  // What is made in the directory must not inherit its default ACL.
  EXPECT_EQ(Xattr("d/f", "system.posix_acl_access"), "none");
  EXPECT_EQ(Xattr("d/sub", "system.posix_acl_default"), "none");
  EXPECT_EQ(LStat("d/f").st_mode, S_IFREG | 0755u);
}

TEST_F(LayerApply, ASecondEntryOfADirectoryReplacesItsMetadata) {
  const auto applied = Apply(TarBuilder()
                                 .Pax({{"SCHILY.xattr.user.old", "1"}, {"mtime", "5"}})
                                 .Dir("d", 0700)
                                 .File("d/.wh..wh..opq")
                                 .File("d/f")
                                 .Pax({{"SCHILY.xattr.user.new", "2"}, {"mtime", "7"}})
                                 .Dir("d", 0711)
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ListTree(Root()).at("d"), "d 711 0:0 7.0 {trusted.overlay.opaque=y} {user.new=2}");
}

TEST_F(LayerApply, SparseFiles) {
  const auto applied =
      Apply(TarBuilder()
                .Pax({{"GNU.sparse.map", "4096,3,1048576,2"}, {"GNU.sparse.size", "2097152"}})
                .File("s", "abcde")
                .Pax({{"GNU.sparse.map", ""}, {"GNU.sparse.size", "1099511627776"}})
                .File("hole")
                .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(applied->bytes, 5u);
  const std::string content = ReadWholeFile(Path("s"));
  std::string expected(2097152, '\0');
  expected.replace(4096, 3, "abc").replace(1048576, 2, "de");
  EXPECT_TRUE(content == expected);
  EXPECT_LT(LStat("s").st_blocks, 64);
  EXPECT_EQ(LStat("hole").st_size, 1099511627776);
}

TEST_F(LayerApply, WhiteoutsInAnyOrder) {
  std::vector<std::string> parts = {
      TarBuilder().File(".wh.gone").TakeWithoutEnd(),
      TarBuilder().File(".wh.file").TakeWithoutEnd(),
      TarBuilder().File("file", "stays").TakeWithoutEnd(),
      TarBuilder().File("dir/.wh.sub").TakeWithoutEnd(),
      TarBuilder().File("dir/sub/x", "x").TakeWithoutEnd(),
      TarBuilder().File("opq/.wh..wh..opq").TakeWithoutEnd(),
      TarBuilder().File("opq/kept", "k").TakeWithoutEnd(),
  };
  std::minstd_rand random(1);
  for (int round = 0; round < 60; ++round) {
    Reset();
    std::string tar;
    for (const std::string& part : parts) tar += part;
    const auto applied = Apply(tar);
    ASSERT_TRUE(applied.ok()) << applied.status().ToString();
    const auto tree = ListTree(Root(), {.times = false, .root = false});
    EXPECT_EQ(tree.size(), 7u);
    EXPECT_TRUE(IsWhiteout("gone"));
    EXPECT_EQ(ReadWholeFile(Path("file")), "stays");
    EXPECT_EQ(tree.at("dir"), "d 755 0:0");
    EXPECT_EQ(tree.at("dir/sub"), "d 755 0:0 {trusted.overlay.opaque=y}");
    EXPECT_EQ(tree.at("opq"), "d 755 0:0 {trusted.overlay.opaque=y}");
    EXPECT_EQ(ReadWholeFile(Path("opq/kept")), "k");
    std::shuffle(parts.begin(), parts.end(), random);
  }
}

TEST_F(LayerApply, WhiteoutForms) {
  const auto applied = Apply(TarBuilder()
                                 .Add({.name = "dev00", .type = '3'})
                                 .Dir(".wh.as-directory")
                                 .File(".wh..wh.plnk/1.2", "aufs")
                                 .File(".wh..wh.aufs")
                                 .Long('L', "d/.wh." + std::string(255, 'n'))
                                 .File("x")
                                 .File(".wh.replaced")
                                 .Dir("replaced")
                                 .Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_TRUE(IsWhiteout("dev00"));
  EXPECT_TRUE(IsWhiteout("as-directory"));
  EXPECT_TRUE(IsWhiteout("d/" + std::string(255, 'n')));
  EXPECT_EQ(Xattr("replaced", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(ListTree(Root(), {.root = false}).size(), 5u);
}

TEST_F(LayerApply, ADirectoryInPlaceOfAFileHidesWhatTheFileHid) {
  const auto applied =
      Apply(TarBuilder().File(".wh.n").File("n", "file").Dir("n").File("n/x").Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(Xattr("n", "trusted.overlay.opaque"), "y");
}

TEST_F(LayerApply, ARootFileSystemHasNoWhiteouts) {
  const auto applied = Apply(TarBuilder()
                                 .File(".wh.a", "plain")
                                 .File("d/.wh..wh..opq", "plain")
                                 .Add({.name = "null0", .type = '3'})
                                 .Take(),
                             {.whiteouts = false});
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_EQ(ReadWholeFile(Path(".wh.a")), "plain");
  EXPECT_EQ(ReadWholeFile(Path("d/.wh..wh..opq")), "plain");
  EXPECT_FALSE(fs::exists(Path("null0")));
  EXPECT_THAT(applied->notes, ElementsAre("'null0': device 0/0 left out"));
}

TEST_F(LayerApply, MoreDirectoriesThanDescriptors) {
  TarBuilder builder;
  std::string deep;
  for (int i = 0; i < 1500; ++i) deep += "d/";
  builder.Long('L', deep + "f").File("x", "deep");
  for (int i = 0; i < 3000; ++i) builder.File("w" + std::to_string(i) + "/f");
  const auto applied = Apply(builder.Take());
  ASSERT_TRUE(applied.ok()) << applied.status().ToString();
  EXPECT_TRUE(fs::exists(Path("w2999/f")));
  fs::remove_all(Path("d"));
}

TEST_F(LayerApply, SameTreeAsGnuTar) {
  const std::string source = scratch_ / "source", theirs = scratch_ / "theirs";
  const std::string archive = scratch_ / "a.tar";
  MakeNastyTree(source);
  for (const std::string format :
       {"gnu", "gnu --sparse", "pax", "pax --sparse", "pax --sparse --sparse-version=0.1",
        "pax --sparse --sparse-version=0.0"}) {
    SCOPED_TRACE(format);
    Reset();
    fs::remove_all(theirs);
    fs::create_directory(theirs);
    const std::string xattrs = format.starts_with("pax") ? " --xattrs --xattrs-include='*'" : "";
    RunShell("tar -C " + source + " --format=" + format + xattrs + " -cf " + archive + " .");
    RunShell("tar -C " + theirs + " --same-owner -p" + xattrs + " -xf " + archive);
    const auto applied = Apply(ReadWholeFile(archive));
    ASSERT_TRUE(applied.ok()) << applied.status().ToString();
    EXPECT_TRUE(applied->notes.empty());
    EXPECT_EQ(ListTree(Root()), ListTree(theirs));
  }
}

}  // namespace
}  // namespace minibox::archive
