// SPDX-License-Identifier: Apache-2.0
#include "archive/compression.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "core/errors.h"

namespace minibox::archive {
namespace {

ReadFn FromString(std::string bytes, size_t piece = SIZE_MAX) {
  return [bytes = std::move(bytes), piece, position = size_t{0}](
             char* buffer, size_t size) mutable -> StatusOr<size_t> {
    const size_t count = std::min({size, piece, bytes.size() - position});
    std::copy_n(bytes.data() + position, count, buffer);
    position += count;
    return count;
  };
}

StatusOr<std::string> ReadAll(const ReadFn& read, size_t piece = 70'000) {
  std::string out, buffer(piece, '\0');
  while (true) {
    auto count = read(buffer.data(), buffer.size());
    if (!count.ok()) return count.status();
    if (*count == 0) return out;
    out.append(buffer, 0, *count);
  }
}

// Compresses `bytes` handed over in pieces of the given sizes, over and over.
std::string Compress(Compression format, std::string_view bytes, std::vector<size_t> pieces) {
  std::string out;
  auto compressor = Compressor::Create(format, [&](std::string_view made) {
    out += made;
    return Status();
  });
  EXPECT_TRUE(compressor.ok());
  for (size_t i = 0; !bytes.empty(); ++i) {
    const size_t count = std::min(pieces[i % pieces.size()], bytes.size());
    EXPECT_TRUE((*compressor)->Write(bytes.substr(0, count)).ok());
    bytes.remove_prefix(count);
  }
  EXPECT_TRUE((*compressor)->Finish().ok());
  return out;
}

std::string SomeText(size_t size) {
  std::minstd_rand random(7);
  std::string text;
  while (text.size() < size) {
    text += "line " + std::to_string(random() % 1000) + " of something\n";
    if (random() % 8 == 0) text += static_cast<char>(random());
  }
  text.resize(size);
  return text;
}

class Formats : public ::testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(All, Formats,
                         ::testing::Values(Compression::kNone, Compression::kGzip,
                                           Compression::kZstd));

TEST_P(Formats, BytesDoNotDependOnThreads) {
  const std::string text = SomeText(9'000'000);
  std::string first;
  for (const int threads : {1, 2, 5}) {
    std::string out;
    auto compressor = Compressor::Create(
        GetParam(),
        [&](std::string_view made) {
          out += made;
          return Status();
        },
        threads);
    ASSERT_TRUE(compressor.ok());
    ASSERT_TRUE((*compressor)->Write(text).ok());
    ASSERT_TRUE((*compressor)->Finish().ok());
    if (threads == 1) first = out;
    EXPECT_TRUE(out == first) << threads;
  }
  const auto unpacked = ReadAll(Decompress(FromString(first)));
  ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
  EXPECT_TRUE(*unpacked == text);
}

TEST_P(Formats, RoundTrip) {
  for (const size_t size : {size_t{0}, size_t{1}, size_t{511}, size_t{256u << 10},
                            size_t{(256u << 10) + 1}, size_t{3'000'000}}) {
    const std::string text = SomeText(size);
    const std::string packed = Compress(GetParam(), text, {100'000});
    if (size > 1000 && GetParam() != Compression::kNone) {
      EXPECT_LT(packed.size(), size / 2);
    }
    const auto unpacked = ReadAll(Decompress(FromString(packed)));
    ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
    EXPECT_TRUE(*unpacked == text) << size;
  }
}

TEST_P(Formats, OutputDoesNotDependOnHowItIsWritten) {
  const std::string text = SomeText(2'000'000);
  const std::string once = Compress(GetParam(), text, {text.size()});
  EXPECT_TRUE(once == Compress(GetParam(), text, {1, 511, 4096}));
  EXPECT_TRUE(once == Compress(GetParam(), text, {256u << 10}));
  EXPECT_TRUE(once == Compress(GetParam(), text, {(256u << 10) + 1, 7}));
}

TEST_P(Formats, InputMayComeByteByByte) {
  const std::string text = SomeText(20'000);
  const auto unpacked = ReadAll(Decompress(FromString(Compress(GetParam(), text, {512}), 1)), 3);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
  EXPECT_TRUE(*unpacked == text);
}

TEST_P(Formats, ErrorsOfTheSourceComeThrough) {
  const auto failed = ReadAll(Decompress(
      [](char*, size_t) -> StatusOr<size_t> { return core::SysError("read", "x", EIO); }));
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().sys_errno(), EIO);
}

class Compressed : public Formats {};
INSTANTIATE_TEST_SUITE_P(All, Compressed,
                         ::testing::Values(Compression::kGzip, Compression::kZstd));

TEST_P(Compressed, SeveralMembersAreOneStream) {
  const std::string text = SomeText(300'000);
  const std::string packed = Compress(GetParam(), text, {1000});
  for (const size_t piece : {size_t{1}, size_t{1000}, SIZE_MAX}) {
    const auto unpacked =
        ReadAll(Decompress(FromString(packed + Compress(GetParam(), "", {1}) + packed, piece)));
    ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
    EXPECT_TRUE(*unpacked == text + text);
  }
}

TEST_P(Compressed, EveryTruncationIsDataLoss) {
  const std::string packed = Compress(GetParam(), SomeText(2000), {1000});
  for (size_t size = 4; size < packed.size(); ++size) {
    const auto unpacked = ReadAll(Decompress(FromString(packed.substr(0, size))));
    ASSERT_FALSE(unpacked.ok()) << size;
    EXPECT_EQ(unpacked.status().code(), StatusCode::kDataLoss);
    EXPECT_EQ(unpacked.status().reason(), "invalid_archive");
  }
}

TEST_P(Compressed, DamageIsDataLossAndStays) {
  std::string packed = Compress(GetParam(), SomeText(200'000), {1000});
  packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
  const ReadFn read = Decompress(FromString(packed));
  const auto unpacked = ReadAll(read);
  ASSERT_FALSE(unpacked.ok());
  EXPECT_EQ(unpacked.status().code(), StatusCode::kDataLoss);
  char byte;
  EXPECT_EQ(read(&byte, 1).status().code(), StatusCode::kDataLoss);
}

TEST_P(Compressed, TrailingGarbageIsDataLoss) {
  const auto unpacked =
      ReadAll(Decompress(FromString(Compress(GetParam(), "hello", {5}) + "garbage")));
  ASSERT_FALSE(unpacked.ok());
  EXPECT_EQ(unpacked.status().code(), StatusCode::kDataLoss);
}

TEST_P(Compressed, ABombIsStopped) {
  // gzip reaches 1:1000, zstd far more.
  const std::string zeros(64u << 20, '\0');
  const std::string packed = Compress(GetParam(), zeros, {1u << 20});
  ASSERT_LT(packed.size() * 200, zeros.size());
  uint64_t seen = 0;
  const ReadFn read = Decompress(FromString(packed), 1u << 20);
  std::string buffer(256u << 10, '\0');
  StatusOr<size_t> count = size_t{1};
  while (count.ok() && *count > 0) {
    count = read(buffer.data(), buffer.size());
    if (count.ok()) seen += *count;
  }
  ASSERT_FALSE(count.ok());
  EXPECT_EQ(count.status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(count.status().reason(), "invalid_archive");
  EXPECT_LE(seen, (1u << 20) + packed.size() * 200);
  // The same is fine where that much may come for free.
  EXPECT_TRUE(ReadAll(Decompress(FromString(packed), 64u << 20)).ok());
}

TEST(Gzip, HeaderHasNoTimeNameOrSystem) {
  EXPECT_EQ(Compress(Compression::kGzip, "x", {1}).substr(0, 10),
            std::string("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10));
}

TEST(Gzip, HeaderFieldsOfOthersAreSkipped) {
  std::string packed = Compress(Compression::kGzip, "hello", {5});
  packed[3] = 0x08;  // FNAME
  packed.insert(10, std::string("some-name\0", 10));
  const auto unpacked = ReadAll(Decompress(FromString(packed)));
  ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
  EXPECT_EQ(*unpacked, "hello");
}

TEST(Zstd, SkippableFramesAreSkipped) {
  const std::string skippable("\x50\x2a\x4d\x18\x04\0\0\0abcd", 12);
  const auto unpacked = ReadAll(
      Decompress(FromString(skippable + Compress(Compression::kZstd, "hello", {5}) + skippable)));
  ASSERT_TRUE(unpacked.ok()) << unpacked.status().ToString();
  EXPECT_EQ(*unpacked, "hello");
}

TEST(DetectCompression, GoesByMagicNumber) {
  EXPECT_EQ(DetectCompression("\x1f\x8b\x08"), Compression::kGzip);
  EXPECT_EQ(DetectCompression("\x28\xb5\x2f\xfd"), Compression::kZstd);
  EXPECT_EQ(DetectCompression("\x5f\x2a\x4d\x18"), Compression::kZstd);
  EXPECT_EQ(DetectCompression("\x60\x2a\x4d\x18"), Compression::kNone);
  EXPECT_EQ(DetectCompression("\x1f"), Compression::kNone);
  EXPECT_EQ(DetectCompression(""), Compression::kNone);
  EXPECT_EQ(DetectCompression("plain text"), Compression::kNone);
}

}  // namespace
}  // namespace minibox::archive
