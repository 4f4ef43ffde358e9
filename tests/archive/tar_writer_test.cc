// SPDX-License-Identifier: Apache-2.0
#include "archive/tar_writer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "archive/tar_reader.h"

namespace minibox::archive {
namespace {

StatusOr<TarEntry> ReadBack(const std::string& header) {
  TarReader reader(
      [&, position = size_t{0}](char* buffer, size_t size) mutable -> StatusOr<size_t> {
        const size_t count = std::min(size, header.size() - position);
        std::copy_n(header.data() + position, count, buffer);
        position += count;
        return count;
      });
  TarEntry entry;
  auto more = reader.Next(entry);
  if (!more.ok()) return more.status();
  EXPECT_TRUE(*more);
  return entry;
}

void ExpectSame(const TarEntry& a, const TarEntry& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.path, b.path);
  EXPECT_EQ(a.link, b.link);
  EXPECT_EQ(a.mode, b.mode);
  EXPECT_EQ(a.uid, b.uid);
  EXPECT_EQ(a.gid, b.gid);
  EXPECT_EQ(a.mtime, b.mtime);
  EXPECT_EQ(a.mtime_nsec, b.mtime_nsec);
  EXPECT_EQ(a.major, b.major);
  EXPECT_EQ(a.minor, b.minor);
  EXPECT_EQ(a.size, b.size);
  EXPECT_EQ(a.xattrs, b.xattrs);
}

TEST(TarWriter, APlainEntryIsOneBlock) {
  TarEntry entry;
  entry.path = "usr/bin/tool";
  entry.mode = 04755;
  entry.uid = entry.gid = 2097151;
  entry.mtime = 8589934591;
  entry.size = 8589934591;
  const std::string header = EncodeTarHeader(entry);
  EXPECT_EQ(header.size(), 512u);
  EXPECT_EQ(header.substr(257, 8), std::string("ustar\0"
                                               "00",
                                               8));
  EXPECT_EQ(header.substr(265, 64), std::string(64, '\0')) << "user or group names";
  const auto read = ReadBack(header);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ExpectSame(*read, entry);
}

TEST(TarWriter, WhatDoesNotFitGoesIntoRecords) {
  TarEntry entry;
  entry.type = TarType::kSymlink;
  entry.path = std::string(101, 'a') + "/" + std::string(200, 'b');
  entry.link = std::string(300, 'c');
  entry.uid = 4294967294;
  entry.gid = 2097152;
  entry.mtime = -2;
  entry.mtime_nsec = 5;
  entry.xattrs = {{"user.b", std::string("\0\n", 2)}, {"security.capability", "c"}};
  const std::string header = EncodeTarHeader(entry);
  EXPECT_GT(header.size(), 512u);
  const size_t capability = header.find("SCHILY.xattr.security.capability=c\n");
  EXPECT_NE(capability, std::string::npos);
  EXPECT_LT(capability, header.find("SCHILY.xattr.user.b="));
  EXPECT_LT(header.find("SCHILY.xattr.user.b="), header.find(" gid="));
  EXPECT_LT(header.find(" gid="), header.find(" linkpath="));
  const auto read = ReadBack(header);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ExpectSame(*read, entry);
}

TEST(TarWriter, NamesOfEveryLength) {
  for (size_t depth = 1; depth < 40; ++depth) {
    for (const size_t width : {1, 9, 49, 99, 100, 155}) {
      TarEntry entry;
      for (size_t i = 0; i < depth; ++i) {
        entry.path += (i > 0 ? "/" : "") + std::string(width, static_cast<char>('a' + i % 26));
      }
      const auto file = ReadBack(EncodeTarHeader(entry));
      ASSERT_TRUE(file.ok()) << file.status().ToString();
      EXPECT_EQ(file->path, entry.path);
      entry.type = TarType::kDirectory;
      const auto directory = ReadBack(EncodeTarHeader(entry));
      ASSERT_TRUE(directory.ok()) << directory.status().ToString();
      EXPECT_EQ(directory->path, entry.path + "/");
    }
  }
}

TEST(TarWriter, ALongNameThatSplitsNeedsNoRecord) {
  TarEntry entry;
  entry.path = std::string(155, 'p') + "/" + std::string(100, 'n');
  EXPECT_EQ(EncodeTarHeader(entry).size(), 512u);
  entry.path += "n";
  EXPECT_GT(EncodeTarHeader(entry).size(), 512u);
}

TEST(TarWriter, Devices) {
  TarEntry entry;
  entry.type = TarType::kBlockDevice;
  entry.path = "dev/x";
  entry.major = 4095;
  entry.minor = 1048575;
  const auto read = ReadBack(EncodeTarHeader(entry));
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  ExpectSame(*read, entry);
}

TEST(TarWriter, Padding) {
  EXPECT_EQ(TarPadding(0), 0u);
  EXPECT_EQ(TarPadding(1), 511u);
  EXPECT_EQ(TarPadding(512), 0u);
}

}  // namespace
}  // namespace minibox::archive
