// SPDX-License-Identifier: Apache-2.0
// minibox.stream.v1, the frames of a connection that was taken over (spec §4.4):
// 1 byte type, 3 zero bytes, u32 big-endian length of the payload, payload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "minibox/runtime.h"
#include "minibox/status.h"

namespace minibox::wire {

inline constexpr std::string_view kStreamProtocol = "minibox.stream.v1";
inline constexpr size_t kFrameHeader = 8;
inline constexpr size_t kMaxFramePayload = 1 << 20;

enum class FrameType : uint8_t {
  kStdin = 0,
  kStdout = 1,
  kStderr = 2,
  kResize = 3,
  kExit = 4,
  kError = 5,
  kSignal = 6,
  kStdinEnd = 7,
};

struct Frame {
  uint8_t type = 0;  // unknown ones are ignored by whoever reads them
  std::string payload{};
  bool Is(FrameType wanted) const { return type == static_cast<uint8_t>(wanted); }
};

std::string EncodeFrame(FrameType type, std::string_view payload = {});
std::string EncodeResize(TerminalSize size);
std::string EncodeExit(int32_t code);
std::string EncodeSignal(int signal);

// The payloads of frames of these types; nullopt if it has the wrong size or value.
std::optional<TerminalSize> DecodeResize(const Frame& frame);
std::optional<int32_t> DecodeExit(const Frame& frame);
std::optional<int> DecodeSignal(const Frame& frame);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  void Add(std::string_view bytes) { buffer_.append(bytes); }
  // nullopt: more bytes are needed. kInvalidArgument "invalid_request": no frames follow any more.
  StatusOr<std::optional<Frame>> Next();

 private:
  std::string buffer_;
  size_t done_ = 0;
};

}  // namespace minibox::wire
