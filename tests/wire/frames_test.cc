// SPDX-License-Identifier: Apache-2.0
#include "wire/frames.h"

#include <gtest/gtest.h>

#include <vector>

namespace minibox::wire {
namespace {

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) text += static_cast<char>(byte);
  return text;
}

TEST(Frames, AreAsPublished) {
  EXPECT_EQ(EncodeFrame(FrameType::kStdout, "ab"), Bytes({1, 0, 0, 0, 0, 0, 0, 2, 'a', 'b'}));
  EXPECT_EQ(EncodeFrame(FrameType::kStdinEnd), Bytes({7, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(EncodeResize({.rows = 258, .cols = 3}), Bytes({3, 0, 0, 0, 0, 0, 0, 4, 1, 2, 0, 3}));
  EXPECT_EQ(EncodeExit(-2), Bytes({4, 0, 0, 0, 0, 0, 0, 4, 255, 255, 255, 254}));
  EXPECT_EQ(EncodeSignal(15), Bytes({6, 0, 0, 0, 0, 0, 0, 1, 15}));
}

TEST(Frames, ComeOutWhateverThePiecesAre) {
  const std::string all = EncodeFrame(FrameType::kStdin, "hello") + EncodeFrame(FrameType::kStdin) +
                          EncodeExit(7) + EncodeFrame(FrameType::kStderr, std::string(70000, 'x'));
  for (const size_t piece : {size_t{1}, size_t{7}, all.size()}) {
    FrameReader reader;
    std::vector<Frame> frames;
    for (size_t at = 0; at < all.size(); at += piece) {
      reader.Add(std::string_view(all).substr(at, piece));
      while (true) {
        auto next = reader.Next();
        ASSERT_TRUE(next.ok());
        if (!*next) break;
        frames.push_back(std::move(**next));
      }
    }
    ASSERT_EQ(frames.size(), 4u) << piece;
    EXPECT_EQ(frames[0].payload, "hello");
    EXPECT_TRUE(frames[1].payload.empty());
    EXPECT_EQ(DecodeExit(frames[2]), 7);
    EXPECT_EQ(frames[3].payload.size(), 70000u);
  }
}

TEST(Frames, MalformedOnesAreRefused) {
  FrameReader padding;
  padding.Add(Bytes({0, 0, 1, 0, 0, 0, 0, 0}));
  EXPECT_EQ(padding.Next().status().reason(), "invalid_request");
  FrameReader length;
  length.Add(Bytes({0, 0, 0, 0, 0, 16, 0, 1}));
  EXPECT_EQ(length.Next().status().reason(), "invalid_request");
  FrameReader longest;
  longest.Add(EncodeFrame(FrameType::kStdin, std::string(kMaxFramePayload, 'x')));
  EXPECT_TRUE(longest.Next().ok());
  EXPECT_FALSE(DecodeResize({3, "abc"}));
  EXPECT_FALSE(DecodeResize({3, std::string("\0\0\0\1", 4)}));
  EXPECT_FALSE(DecodeSignal({6, ""}));
  EXPECT_FALSE(DecodeSignal({6, std::string(1, '\0')}));
  EXPECT_FALSE(DecodeSignal({6, "A"}));
  EXPECT_FALSE(DecodeExit({4, "12345"}));
}

}  // namespace
}  // namespace minibox::wire
