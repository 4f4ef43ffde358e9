// SPDX-License-Identifier: Apache-2.0
#include "archive/layer_diff.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "archive/layer_apply.h"
#include "archive/nasty_tree.h"
#include "archive/tar_reader.h"
#include "core/fd.h"
#include "core/sha256.h"
#include "support/scratch.h"
#include "support/tar_builder.h"
#include "support/tree_listing.h"

namespace minibox::archive {
namespace {

namespace fs = std::filesystem;
using ::minibox::testing::ListTree;
using ::minibox::testing::MakeNastyTree;
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

struct Written {
  Diff diff;
  std::string tar;
};

StatusOr<Written> Write(const std::string& path, const DiffOptions& options = {}) {
  auto tree = core::RootDir::Open(path);
  if (!tree.ok()) return tree.status();
  std::string tar;
  auto diff = WriteLayer(
      *tree,
      [&](std::string_view bytes) {
        tar += bytes;
        return Status();
      },
      options);
  if (!diff.ok()) return diff.status();
  return Written{*std::move(diff), std::move(tar)};
}

Status Unpack(const std::string& tar, const std::string& path) {
  fs::create_directory(path);
  auto root = core::RootDir::Open(path);
  if (!root.ok()) return root.status();
  return ApplyLayer(FromString(tar), *root).status();
}

std::vector<TarEntry> Entries(const std::string& tar) {
  TarReader reader(FromString(tar));
  std::vector<TarEntry> entries;
  TarEntry entry;
  while (true) {
    auto more = reader.Next(entry);
    EXPECT_TRUE(more.ok()) << more.status().ToString();
    if (!more.ok() || !*more) return entries;
    entries.push_back(entry);
  }
}

std::vector<std::string> Names(const std::string& tar) {
  std::vector<std::string> names;
  for (const TarEntry& entry : Entries(tar)) names.push_back(entry.path);
  return names;
}

class LayerDiff : public ::testing::Test {
 protected:
  void SetUp() override {
    MBX_REQUIRE_ROOT();
    fs::create_directory(Tree());
  }
  std::string Tree() const { return scratch_ / "tree"; }
  std::string Path(const std::string& name) const { return Tree() + "/" + name; }
  void Opaque(const std::string& name) {
    ASSERT_EQ(setxattr(Path(name).c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  }
  void Whiteout(const std::string& name) {
    ASSERT_EQ(mknod(Path(name).c_str(), S_IFCHR, makedev(0, 0)), 0);
  }

  Scratch scratch_;
};

TEST_F(LayerDiff, TreeTarTree) {
  MakeNastyTree(scratch_ / "nasty");
  chmod((scratch_ / "nasty").c_str(), 0750);
  const auto written = Write(scratch_ / "nasty");
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->diff.bytes, written->tar.size());
  EXPECT_EQ(written->diff.diff_id.ToString(), "sha256:" + core::Sha256::Hex(written->tar));
  const Status unpacked = Unpack(written->tar, scratch_ / "again");
  ASSERT_TRUE(unpacked.ok()) << unpacked.ToString();
  EXPECT_EQ(ListTree(scratch_ / "again", {.root = false}),
            ListTree(scratch_ / "nasty", {.root = false}));
  // And once more the same bytes.
  const auto again = Write(scratch_ / "again");
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_TRUE(again->tar == written->tar);
}

TEST_F(LayerDiff, GnuTarReadsTheSame) {
  MakeNastyTree(scratch_ / "nasty");
  const auto written = Write(scratch_ / "nasty");
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  scratch_.Write("a.tar", written->tar);
  fs::create_directory(scratch_ / "theirs");
  RunShell("tar -C " + (scratch_ / "theirs") +
           " --delay-directory-restore --same-owner -p --xattrs --xattrs-include='*' -xf " +
           (scratch_ / "a.tar"));
  EXPECT_EQ(ListTree(scratch_ / "theirs", {.root = false}),
            ListTree(scratch_ / "nasty", {.root = false}));
}

TEST_F(LayerDiff, SortedByPathBytes) {
  for (const char* name : {"a/b", "a-b", "a", "a0", "B", "a/b/c"}) {
    fs::create_directories(Path(name));
  }
  for (const char* name : {"a/b-x", "a/z", "a.txt", "z"})
    scratch_.Write("tree/" + std::string(name), "");
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_THAT(Names(written->tar), ElementsAre("B/", "a/", "a-b/", "a.txt", "a/b/", "a/b-x",
                                               "a/b/c/", "a/z", "a0/", "z"));
  EXPECT_EQ(written->diff.entries, 10u);
}

TEST_F(LayerDiff, BytesDependOnTheContentOnly) {
  const auto make = [&](const std::string& top, bool reversed) {
    std::vector<std::string> names;
    for (int i = 0; i < 300; ++i) names.push_back("file" + std::to_string(i));
    if (reversed) std::reverse(names.begin(), names.end());
    const mode_t mask = umask(reversed ? 077 : 0);
    for (const std::string& name : names) scratch_.Write(top + "/" + name, name, 0640);
    umask(mask);
    ASSERT_EQ(chmod((scratch_ / top).c_str(), 0755), 0);
  };
  make("one", false);
  make("two", true);
  const auto one = Write(scratch_ / "one", {.max_mtime = 0});
  const auto two = Write(scratch_ / "two", {.max_mtime = 0});
  ASSERT_TRUE(one.ok() && two.ok());
  EXPECT_TRUE(one->tar == two->tar);
}

TEST_F(LayerDiff, LaterTimesAreClamped) {
  const struct Row {
    const char* name;
    time_t seconds;
    long nanoseconds;
    int64_t expected;
    uint32_t expected_nanoseconds;
  } table[] = {{"early", 99, 5, 99, 5},
               {"exact", 100, 0, 100, 0},
               {"just-later", 100, 1, 100, 0},
               {"later", 101, 0, 100, 0}};
  for (const Row& row : table) {
    scratch_.Write("tree/" + std::string(row.name), "");
    const struct timespec times[2] = {{0, UTIME_OMIT}, {row.seconds, row.nanoseconds}};
    ASSERT_EQ(utimensat(AT_FDCWD, Path(row.name).c_str(), times, 0), 0);
  }
  const auto written = Write(Tree(), {.max_mtime = 100});
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  const auto entries = Entries(written->tar);
  ASSERT_EQ(entries.size(), 4u);
  for (const Row& row : table) {
    const auto entry = std::find_if(entries.begin(), entries.end(),
                                    [&](const TarEntry& e) { return e.path == row.name; });
    ASSERT_NE(entry, entries.end());
    EXPECT_EQ(entry->mtime, row.expected) << row.name;
    EXPECT_EQ(entry->mtime_nsec, row.expected_nanoseconds) << row.name;
  }
}

TEST_F(LayerDiff, WhiteoutsAndOpaqueMarkers) {
  fs::create_directories(Path("d/!first"));
  Opaque("d");
  Whiteout("d/gone");
  Whiteout("gone");
  // Overlayfs itself links its whiteouts to one inode.
  fs::create_hard_link(Path("gone"), Path("gone-too"));
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_THAT(Names(written->tar), ElementsAre(".wh.gone", ".wh.gone-too", "d/", "d/.wh..wh..opq",
                                               "d/!first/", "d/.wh.gone"));
  const Status unpacked = Unpack(written->tar, scratch_ / "again");
  ASSERT_TRUE(unpacked.ok()) << unpacked.ToString();
  EXPECT_EQ(ListTree(scratch_ / "again", {.times = false}), [&] {
    auto tree = ListTree(Tree(), {.times = false});
    // Two whiteouts of their own after unpacking.
    tree["gone-too"] = tree["gone"];
    return tree;
  }());
}

TEST_F(LayerDiff, TarTreeTarKeepsEveryEntry) {
  const std::string tar = TarBuilder()
                              .Dir("d", 0700)
                              .File("d/.wh..wh..opq")
                              .File("d/.wh.x")
                              .Pax({{"SCHILY.xattr.user.a", "1"}})
                              .Add({.name = "d/f", .content = "x", .mode = 04711, .uid = 8})
                              .HardLink("d/g", "d/f")
                              .Symlink("d/s", "f")
                              .Add({.name = "n", .type = '3', .major = 1, .minor = 3})
                              .Take();
  ASSERT_TRUE(Unpack(tar, scratch_ / "t").ok());
  const auto written = Write(scratch_ / "t");
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_THAT(Names(written->tar),
              ElementsAre("d/", "d/.wh..wh..opq", "d/.wh.x", "d/f", "d/g", "d/s", "n"));
  const auto before = Entries(tar), after = Entries(written->tar);
  for (const TarEntry& entry : before) {
    const auto same = std::find_if(after.begin(), after.end(), [&](const TarEntry& e) {
      return e.path == entry.path || e.path == entry.path + "/";
    });
    ASSERT_NE(same, after.end()) << entry.path;
    EXPECT_EQ(same->type, entry.type) << entry.path;
    EXPECT_EQ(same->link, entry.link) << entry.path;
    EXPECT_EQ(same->size, entry.size) << entry.path;
    EXPECT_EQ(same->xattrs, entry.xattrs) << entry.path;
    if (entry.path.find(".wh.") != std::string::npos || entry.type == TarType::kHardLink ||
        entry.type == TarType::kSymlink) {
      continue;
    }
    EXPECT_EQ(same->mode, entry.mode) << entry.path;
    EXPECT_EQ(same->uid, entry.uid) << entry.path;
  }
}

TEST_F(LayerDiff, OnlyPortableXattrs) {
  scratch_.Write("tree/f", "x");
  for (const char* name : {"user.kept", "user.overlay.opaque", "trusted.other"}) {
    ASSERT_EQ(setxattr(Path("f").c_str(), name, "v", 1, 0), 0) << name;
  }
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  const auto entries = Entries(written->tar);
  ASSERT_EQ(entries.size(), 1u);
  EXPECT_EQ(entries[0].xattrs, (std::map<std::string, std::string>{{"user.kept", "v"}}));
}

TEST_F(LayerDiff, SocketsAreLeftOut) {
  const core::Fd socket_fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX};
  std::strncpy(address.sun_path, Path("s").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket_fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->diff.entries, 0u);
  EXPECT_EQ(written->tar, std::string(1024, '\0'));
}

TEST_F(LayerDiff, HardLinksToTheFirstName) {
  scratch_.Write("tree/z/original", "x");
  fs::create_directory(Path("a"));
  fs::create_hard_link(Path("z/original"), Path("a/link"));
  fs::create_hard_link(Path("z/original"), Path("m"));
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  const auto entries = Entries(written->tar);
  ASSERT_EQ(entries.size(), 5u);
  EXPECT_EQ(entries[1].path, "a/link");
  EXPECT_EQ(entries[1].type, TarType::kFile);
  EXPECT_EQ(entries[2].link, "a/link");
  EXPECT_EQ(entries[4].path, "z/original");
  EXPECT_EQ(entries[4].link, "a/link");
}

TEST_F(LayerDiff, ARootWithAttributesOfItsOwnIsAnEntry) {
  ASSERT_EQ(chmod(Tree().c_str(), 0700), 0);
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_THAT(Names(written->tar), ElementsAre("./"));
  EXPECT_EQ(written->diff.entries, 0u) << "a root alone is no change";
  ASSERT_EQ(chmod(Tree().c_str(), 0755), 0);
  EXPECT_THAT(Names(Write(Tree())->tar), ElementsAre());
}

TEST_F(LayerDiff, WhatNoLayerCanSayIsAnError) {
  scratch_.Write("tree/d/.wh.x", "");
  auto written = Write(Tree());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(written.status().message(), HasSubstr("'d/.wh.x'"));
  fs::remove(Path("d/.wh.x"));
  ASSERT_EQ(setxattr(Path("d").c_str(), "trusted.overlay.redirect", "/e", 2, 0), 0);
  written = Write(Tree());
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(written.status().message(), HasSubstr("trusted.overlay.redirect"));
}

TEST_F(LayerDiff, StopsAndPassesErrorsOn) {
  scratch_.Write("tree/f", std::string(1u << 20, 'x'));
  auto tree = core::RootDir::Open(Tree());
  ASSERT_TRUE(tree.ok());
  std::stop_source stop;
  const auto stopped = WriteLayer(
      *tree,
      [&](std::string_view) {
        stop.request_stop();
        return Status();
      },
      {}, stop.get_token());
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.status().code(), StatusCode::kCancelled);
  const auto failed = WriteLayer(
      *tree, [](std::string_view) { return Status(StatusCode::kResourceExhausted, "full"); });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().code(), StatusCode::kResourceExhausted);
}

TEST_F(LayerDiff, DeeperThanDescriptors) {
  std::string deep = Tree();
  for (int i = 0; i < 1200; ++i) {
    deep += "/d";
    ASSERT_EQ(mkdir(deep.c_str(), 0755), 0);
  }
  const auto written = Write(Tree());
  ASSERT_TRUE(written.ok()) << written.status().ToString();
  EXPECT_EQ(written->diff.entries, 1200u);
}

}  // namespace
}  // namespace minibox::archive
