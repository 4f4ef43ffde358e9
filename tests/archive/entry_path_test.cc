// SPDX-License-Identifier: Apache-2.0
#include "archive/entry_path.h"

#include <gtest/gtest.h>

namespace minibox::archive {
namespace {

std::string Repeat(std::string_view piece, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += piece;
  return out;
}

TEST(EntryPath, IsCleaned) {
  struct Row {
    std::string raw, parent, name;
  };
  const Row table[] = {
      {"a", "", "a"},       {"./a", "", "a"},
      {"/a", "", "a"},      {"/./a/", "", "a"},
      {".//./a", "", "a"},  {"a//b", "a", "b"},
      {"a/./b", "a", "b"},  {"a/b/c/", "a/b", "c"},
      {".", "", ""},        {"./", "", ""},
      {"/", "", ""},        {"a/..b", "a", "..b"},
      {"...", "", "..."},   {" ", "", " "},
      {"a\nb", "", "a\nb"}, {std::string(255, 'x'), "", std::string(255, 'x')},
  };
  for (const Row& row : table) {
    const auto path = ParseEntryPath(row.raw, true);
    ASSERT_TRUE(path.ok()) << row.raw << path.status().ToString();
    EXPECT_EQ(path->parent, row.parent) << row.raw;
    EXPECT_EQ(path->name, row.name) << row.raw;
    EXPECT_EQ(path->marker, Marker::kNone);
  }
  EXPECT_TRUE(ParseEntryPath(Repeat("a/", 2048), true).ok());
}

TEST(EntryPath, RefusesByRule) {
  struct Row {
    std::string raw, rule;
  };
  const Row table[] = {
      {"", "empty path"},
      {"..", "'..' component"},
      {"../a", "'..' component"},
      {"a/../b", "'..' component"},
      {"a/..", "'..' component"},
      {"/..", "'..' component"},
      {std::string("a\0b", 3), "NUL"},
      {std::string(256, 'x'), "component exceeds"},
      {std::string(256, 'x') + "/a", "component exceeds"},
      {Repeat("a/", 2049), "path exceeds"},
      {".wh.", "no name"},
      {".wh..", "no name"},
      {".wh...", "no name"},
      {"a/.wh.", "no name"},
      {".wh.a/b", "whiteout as directory"},
  };
  for (const Row& row : table) {
    const auto path = ParseEntryPath(row.raw, true);
    ASSERT_FALSE(path.ok()) << row.raw;
    EXPECT_EQ(path.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(path.status().reason(), "invalid_archive");
    EXPECT_NE(path.status().message().find(row.rule), std::string::npos)
        << row.raw << ": " << path.status().message();
  }
}

TEST(EntryPath, Markers) {
  struct Row {
    std::string raw;
    Marker marker;
    std::string parent, name;
  };
  const Row table[] = {
      {".wh.a", Marker::kWhiteout, "", "a"},
      {"d/.wh.a", Marker::kWhiteout, "d", "a"},
      {"d/.wh..a", Marker::kWhiteout, "d", ".a"},
      {"d/.wh." + std::string(255, 'x'), Marker::kWhiteout, "d", std::string(255, 'x')},
      {"d/.wh..wh..opq", Marker::kOpaque, "d", ".wh..wh..opq"},
      {".wh..wh..opq", Marker::kOpaque, "", ".wh..wh..opq"},
      {".wh..wh.plnk", Marker::kIgnored, "", ".wh..wh.plnk"},
      {".wh..wh.plnk/1.2", Marker::kIgnored, ".wh..wh.plnk", "1.2"},
      {".wh..wh..opqx", Marker::kIgnored, "", ".wh..wh..opqx"},
      {"d/.whx", Marker::kNone, "d", ".whx"},
  };
  for (const Row& row : table) {
    const auto path = ParseEntryPath(row.raw, true);
    ASSERT_TRUE(path.ok()) << row.raw << path.status().ToString();
    EXPECT_EQ(path->marker, row.marker) << row.raw;
    EXPECT_EQ(path->parent, row.parent) << row.raw;
    EXPECT_EQ(path->name, row.name) << row.raw;
  }
}

TEST(EntryPath, ARootFileSystemHasNoMarkers) {
  for (const char* raw : {".wh.a", ".wh.", ".wh..wh..opq", ".wh.a/b"}) {
    const auto path = ParseEntryPath(raw, false);
    ASSERT_TRUE(path.ok()) << raw;
    EXPECT_EQ(path->marker, Marker::kNone);
    EXPECT_EQ(path->Full(), raw);
  }
}

}  // namespace
}  // namespace minibox::archive
