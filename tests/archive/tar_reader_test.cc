// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "core/sha256.h"
#include "support/tar_builder.h"

namespace minibox::archive {
namespace {

using ::minibox::testing::TarBuilder;

const std::string kGnu("ustar  \0", 8);

ReadFn FromString(std::string bytes, size_t piece = SIZE_MAX) {
  return [bytes = std::move(bytes), piece, position = size_t{0}](
             char* buffer, size_t size) mutable -> StatusOr<size_t> {
    const size_t count = std::min({size, piece, bytes.size() - position});
    std::copy_n(bytes.data() + position, count, buffer);
    position += count;
    return count;
  };
}

struct Read {
  std::vector<TarEntry> entries;
  std::vector<std::string> contents;
  std::string digest;
};

StatusOr<Read> ReadTar(const std::string& tar, size_t piece = SIZE_MAX) {
  TarReader reader(FromString(tar, piece));
  Read read;
  TarEntry entry;
  while (true) {
    auto more = reader.Next(entry);
    if (!more.ok()) return more.status();
    if (!*more) break;
    std::string content;
    while (true) {
      auto bytes = reader.ReadData();
      if (!bytes.ok()) return bytes.status();
      if (bytes->empty()) break;
      content += *bytes;
    }
    read.entries.push_back(entry);
    read.contents.push_back(content);
  }
  auto digest = reader.Finish();
  if (!digest.ok()) return digest.status();
  read.digest = digest->ToString();
  return read;
}

TEST(TarReader, Ustar) {
  const std::string tar = TarBuilder()
                              .Add({.name = "f",
                                    .content = "hello",
                                    .mode = 04755,
                                    .uid = 7,
                                    .gid = 8,
                                    .mtime = 99,
                                    .prefix = "some/dir"})
                              .Dir("d/")
                              .Symlink("s", "../x")
                              .HardLink("h", "f")
                              .Add({.name = "c", .type = '3', .major = 4, .minor = 5})
                              .Add({.name = "b", .type = '4', .major = 4095, .minor = 1048575})
                              .Add({.name = "p", .type = '6'})
                              .Take();
  for (const size_t piece : {size_t{1}, size_t{700}, SIZE_MAX}) {
    const auto read = ReadTar(tar, piece);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    ASSERT_EQ(read->entries.size(), 7u);
    const auto& e = read->entries;
    EXPECT_EQ(e[0].path, "some/dir/f");
    EXPECT_EQ(e[0].mode, 04755u);
    EXPECT_EQ(e[0].uid, 7u);
    EXPECT_EQ(e[0].gid, 8u);
    EXPECT_EQ(e[0].mtime, 99);
    EXPECT_EQ(e[0].size, 5u);
    EXPECT_EQ(read->contents[0], "hello");
    EXPECT_EQ(e[1].type, TarType::kDirectory);
    EXPECT_EQ(e[2].type, TarType::kSymlink);
    EXPECT_EQ(e[2].link, "../x");
    EXPECT_EQ(e[3].type, TarType::kHardLink);
    EXPECT_EQ(e[3].link, "f");
    EXPECT_EQ(e[4].type, TarType::kCharDevice);
    EXPECT_EQ(e[4].major, 4u);
    EXPECT_EQ(e[5].minor, 1048575u);
    EXPECT_EQ(e[6].type, TarType::kFifo);
    EXPECT_EQ(read->digest, "sha256:" + core::Sha256::Hex(tar));
  }
}

TEST(TarReader, V7) {
  const std::string magic(8, '\0');
  const auto read = ReadTar(TarBuilder()
                                .Add({.name = "f", .type = '\0', .content = "x", .magic = magic})
                                .Add({.name = "d/", .type = '\0', .magic = magic})
                                .Add({.name = "p", .prefix = "not-a-prefix", .magic = magic})
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->entries[0].type, TarType::kFile);
  EXPECT_EQ(read->entries[1].type, TarType::kDirectory);
  EXPECT_EQ(read->entries[2].path, "p");
}

TEST(TarReader, GnuLongNamesAndBigNumbers) {
  const std::string name(3000, 'n'), link(2000, 'l');
  const auto read =
      ReadTar(TarBuilder()
                  .Long('L', name)
                  .Long('K', link)
                  .Add({.name = "cut",
                        .type = '2',
                        .link = "cut",
                        .magic = kGnu,
                        .patches = {{108, std::string("\x80\0\0\0\xff\xff\xff\xfe", 8)},
                                    {136, std::string(11, '\xff') + '\xfe'}}})
                  .File("next")
                  .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->entries[0].path, name);
  EXPECT_EQ(read->entries[0].link, link);
  EXPECT_EQ(read->entries[0].uid, 4294967294u);
  EXPECT_EQ(read->entries[0].mtime, -2);
  EXPECT_EQ(read->entries[1].path, "next");
}

TEST(TarReader, PaxRecordsOverrideTheHeader) {
  const auto read = ReadTar(TarBuilder()
                                .Pax({{"path", "real/näme"},
                                      {"uid", "3000000000"},
                                      {"gid", "5"},
                                      {"mtime", "12.5"},
                                      {"size", "3"},
                                      {"uname", "ignored"},
                                      {"SCHILY.xattr.user.a", "1"},
                                      {"SCHILY.xattr.user.b", std::string("\0x", 2)}})
                                .Add({.name = "x", .content = "abc", .size = 0})
                                .File("after", "y")
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const TarEntry& entry = read->entries[0];
  EXPECT_EQ(entry.path, "real/näme");
  EXPECT_EQ(entry.uid, 3000000000u);
  EXPECT_EQ(entry.gid, 5u);
  EXPECT_EQ(entry.mtime, 12);
  EXPECT_EQ(entry.mtime_nsec, 500'000'000u);
  EXPECT_EQ(read->contents[0], "abc");
  EXPECT_EQ(entry.xattrs.at("user.b"), std::string("\0x", 2));
  EXPECT_EQ(read->entries[1].path, "after");
  EXPECT_TRUE(read->entries[1].xattrs.empty());
}

TEST(TarReader, NamesStayByteForByte) {
  // Decomposed Unicode, and bytes that are no UTF-8.
  const std::string decomposed = "e\xcc\x81", broken = "\xff\xfe";
  const auto read = ReadTar(TarBuilder()
                                .Pax({{"path", decomposed}})
                                .File("x")
                                .Pax({{"path", broken}})
                                .File("x")
                                .File(decomposed)
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->entries[0].path, decomposed);
  EXPECT_EQ(read->entries[1].path, broken);
  EXPECT_EQ(read->entries[2].path, decomposed);
}

TEST(TarReader, GlobalRecordsLastUntilOverridden) {
  const auto read = ReadTar(TarBuilder()
                                .Pax({{"uid", "77"}, {"comment", "x"}}, 'g')
                                .File("a")
                                .Pax({{"uid", "78"}})
                                .File("b")
                                .Pax({{"uid", ""}})
                                .Add({.name = "c", .uid = 9})
                                .Pax({{"uid", "79"}}, 'g')
                                .File("d")
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->entries[0].uid, 77u);
  EXPECT_EQ(read->entries[1].uid, 78u);
  EXPECT_EQ(read->entries[2].uid, 9u);
  EXPECT_EQ(read->entries[3].uid, 79u);
}

// Twelve octal digits of each number.
std::string Octal(std::vector<uint64_t> numbers) {
  std::string out;
  for (const uint64_t number : numbers) {
    char text[13];
    snprintf(text, sizeof text, "%011llo", static_cast<unsigned long long>(number));
    out += std::string(text, 12);
  }
  return out;
}

TEST(TarReader, GnuSparse) {
  std::string extension = Octal({40960, 5});
  extension.resize(512, '\0');
  const auto read = ReadTar(TarBuilder()
                                .Add({.name = "s",
                                      .type = 'S',
                                      .magic = kGnu,
                                      .size = 9,
                                      .patches = {{386, Octal({0, 1, 4096, 1, 8192, 1, 12288, 1})},
                                                  {482, "\1"},
                                                  {483, Octal({50000})}}})
                                .Raw(extension)
                                .Raw(std::string("abcdefghi") + std::string(503, '\0'))
                                .File("after")
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  const TarEntry& entry = read->entries[0];
  EXPECT_TRUE(entry.sparse);
  EXPECT_EQ(entry.size, 50000u);
  ASSERT_EQ(entry.extents.size(), 5u);
  EXPECT_EQ(entry.extents[4].offset, 40960u);
  EXPECT_EQ(entry.extents[4].size, 5u);
  EXPECT_EQ(read->contents[0], "abcdefghi");
  EXPECT_EQ(read->entries[1].path, "after");
}

TEST(TarReader, PaxSparse) {
  std::string map = "2\n0\n3\n1000\n2\n";
  map.resize(512, '\0');
  const auto read = ReadTar(TarBuilder()
                                .Pax({{"GNU.sparse.offset", "0"},
                                      {"GNU.sparse.numbytes", "3"},
                                      {"GNU.sparse.offset", "1000"},
                                      {"GNU.sparse.numbytes", "2"},
                                      {"GNU.sparse.size", "2000"}})
                                .File("v0.0", "abcde")
                                .Pax({{"GNU.sparse.map", "0,3,1000,2"},
                                      {"GNU.sparse.size", "2000"},
                                      {"GNU.sparse.name", "v0.1"}})
                                .File("GNUSparseFile.0/v0.1", "abcde")
                                .Pax({{"GNU.sparse.major", "1"},
                                      {"GNU.sparse.minor", "0"},
                                      {"GNU.sparse.realsize", "2000"},
                                      {"GNU.sparse.name", "v1.0"}})
                                .File("GNUSparseFile.0/v1.0", map + "abcde")
                                .Take());
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  for (size_t i = 0; i < 3; ++i) {
    const TarEntry& entry = read->entries[i];
    EXPECT_EQ(entry.path, std::vector<std::string>({"v0.0", "v0.1", "v1.0"})[i]);
    EXPECT_TRUE(entry.sparse);
    EXPECT_EQ(entry.size, 2000u);
    ASSERT_EQ(entry.extents.size(), 2u);
    EXPECT_EQ(entry.extents[1].offset, 1000u);
    EXPECT_EQ(read->contents[i], "abcde");
  }
}

TEST(TarReader, DataAfterTheEndCountsForTheDigestOnly) {
  const std::string tar = TarBuilder().File("a").Take() + TarBuilder().File("b").Take() + "junk";
  const auto read = ReadTar(tar);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  EXPECT_EQ(read->entries.size(), 1u);
  EXPECT_EQ(read->digest, "sha256:" + core::Sha256::Hex(tar));
}

TEST(TarReader, AnEndMarkerMayBeMissing) {
  EXPECT_EQ(ReadTar(TarBuilder().File("a", "x").TakeWithoutEnd())->entries.size(), 1u);
  EXPECT_EQ(ReadTar("")->entries.size(), 0u);
  EXPECT_EQ(ReadTar(std::string(512, '\0'))->entries.size(), 0u);
}

TEST(TarReader, EntriesThatAreNotReadAreSkipped) {
  const std::string tar = TarBuilder().File("a", std::string(1'000'000, 'x')).File("b", "y").Take();
  TarReader reader(FromString(tar));
  TarEntry entry;
  ASSERT_TRUE(*reader.Next(entry));
  ASSERT_TRUE(*reader.Next(entry));
  EXPECT_EQ(entry.path, "b");
  EXPECT_EQ(*reader.ReadData(), "y");
  ASSERT_FALSE(*reader.Next(entry));
  EXPECT_EQ(reader.Finish()->ToString(), "sha256:" + core::Sha256::Hex(tar));
}

TEST(TarReader, RefusesWithAReason) {
  struct Row {
    std::string tar, rule;
  };
  const std::string whole = TarBuilder().File("a", "hello").Take();
  const std::string megabyte(1u << 20, 'x');
  const Row table[] = {
      {std::string(600, 'x'), "not a tar archive"},
      {TarBuilder().Add({.name = "a", .bad_checksum = true}).Take(), "not a tar archive"},
      {whole.substr(0, 100), "ends too early"},
      {whole.substr(0, 514), "ends too early"},
      {TarBuilder().Add({.name = "a", .type = 'Z'}).Take(), "unknown type 'Z'"},
      {TarBuilder().Add({.name = "a", .type = 'V', .magic = kGnu}).Take(), "unknown type 'V'"},
      {TarBuilder().Add({.name = "a", .type = 'M', .magic = kGnu}).Take(), "unknown type 'M'"},
      {TarBuilder().Add({.name = "a", .patches = {{124, "9999"}}}).Take(), "bad number"},
      {TarBuilder().Add({.name = "a", .patches = {{124, std::string(12, '\xff')}}}).Take(),
       "bad number"},
      {TarBuilder().Add({.name = "a", .patches = {{124, "\x80" + std::string(11, '\xff')}}}).Take(),
       "bad number"},
      {TarBuilder().Add({.name = "a", .patches = {{108, "-1"}}}).Take(), "bad number"},
      {TarBuilder().Add({.name = "a", .type = '3', .major = 4096}).Take(), "bad device number"},
      {TarBuilder().Add({.name = "a", .type = '4', .minor = 1048576}).Take(), "bad device number"},
      {TarBuilder().Pax({{"path", std::string("a\0b", 3)}}).File("x").Take(), "holds a NUL"},
      {TarBuilder().Pax({{"linkpath", std::string("\0", 1)}}).File("x").Take(), "holds a NUL"},
      {TarBuilder().Pax({{"size", "-1"}}).File("x").Take(), "bad number"},
      {TarBuilder().Pax({{"size", "9223372036854775808"}}).File("x").Take(), "too large"},
      {TarBuilder().Pax({{"mtime", "soon"}}).File("x").Take(), "bad time"},
      {TarBuilder().Pax({{"a", megabyte}}).File("x").Take(), "exceeds 1 MiB"},
      {TarBuilder().Long('L', megabyte).File("x").Take(), "exceeds 1 MiB"},
      {TarBuilder().Long('L', std::string("a\0b", 3)).File("x").Take(), "holds a NUL"},
      {TarBuilder().Long('L', "a").Long('L', "b").File("x").Take(), "two long names"},
      {TarBuilder().Pax({{"a", "b"}}).Pax({{"a", "b"}}).File("x").Take(), "two pax headers"},
      {TarBuilder().Pax({{"a", "b"}}).Take(), "after an extension header"},
      {TarBuilder().Add({.name = "x", .type = 'x', .content = "nonsense"}).Take(), "damaged pax"},
      {TarBuilder().Raw(std::string(512, '\0')).File("x").Take(), "single block of zeros"},
      {TarBuilder()
           .Pax({{"GNU.sparse.map", "0,6"}, {"GNU.sparse.size", "9"}})
           .File("x", "abc")
           .Take(),
       "does not fit"},
      {TarBuilder()
           .Pax({{"GNU.sparse.map", "0,3"}, {"GNU.sparse.size", "2"}})
           .File("x", "abc")
           .Take(),
       "bad map"},
      {TarBuilder()
           .Pax({{"GNU.sparse.map", "5,1,0,2"}, {"GNU.sparse.size", "9"}})
           .File("x", "abc")
           .Take(),
       "bad map"},
      {TarBuilder()
           .Pax({{"GNU.sparse.map", "1,18446744073709551615"}, {"GNU.sparse.size", "9"}})
           .File("x", "abc")
           .Take(),
       "bad map"},
      {TarBuilder().Pax({{"GNU.sparse.map", "1"}, {"GNU.sparse.size", "9"}}).File("x").Take(),
       "bad map"},
      {TarBuilder().Pax({{"GNU.sparse.map", "0,3"}}).File("x", "abc").Take(), "bad size"},
      {TarBuilder()
           .Pax({{"GNU.sparse.major", "1"}, {"GNU.sparse.realsize", "9"}})
           .File("x", "1\n0\n")
           .Take(),
       "bad map"},
      {TarBuilder().Pax({{"GNU.sparse.major", "2"}}).File("x").Take(), "unknown format"},
  };
  for (const Row& row : table) {
    const auto read = ReadTar(row.tar);
    ASSERT_FALSE(read.ok()) << row.rule;
    EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << row.rule;
    EXPECT_EQ(read.status().reason(), "invalid_archive") << row.rule;
    EXPECT_NE(read.status().message().find(row.rule), std::string::npos)
        << "expected " << row.rule << ", got " << read.status().message();
  }
}

TEST(TarReader, GlobalRecordsAreBounded) {
  TarBuilder builder;
  const std::string half(600'000, 'x');
  builder.Pax({{"a", half}}, 'g').Pax({{"b", half}}, 'g').File("x");
  const auto read = ReadTar(builder.Take());
  ASSERT_FALSE(read.ok());
  EXPECT_NE(read.status().message().find("exceed 1 MiB"), std::string::npos);
}

}  // namespace
}  // namespace minibox::archive
