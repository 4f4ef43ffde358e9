// SPDX-License-Identifier: Apache-2.0
#include "wire/frames.h"

#include "core/strings.h"
#include "wire/fields.h"

namespace minibox::wire {
namespace {

constexpr int kMaxSignal = 64;

void AppendBig(std::string& out, uint32_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

uint32_t ReadBig(std::string_view bytes) {
  uint32_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

}  // namespace

std::string EncodeFrame(FrameType type, std::string_view payload) {
  std::string frame;
  frame.reserve(kFrameHeader + payload.size());
  frame += static_cast<char>(type);
  frame.append(3, '\0');
  AppendBig(frame, static_cast<uint32_t>(payload.size()), 4);
  return frame.append(payload);
}

std::string EncodeResize(TerminalSize size) {
  std::string payload;
  AppendBig(payload, size.rows, 2);
  AppendBig(payload, size.cols, 2);
  return EncodeFrame(FrameType::kResize, payload);
}

std::string EncodeExit(int32_t code) {
  std::string payload;
  AppendBig(payload, static_cast<uint32_t>(code), 4);
  return EncodeFrame(FrameType::kExit, payload);
}

std::string EncodeSignal(int signal) {
  return EncodeFrame(FrameType::kSignal, std::string(1, static_cast<char>(signal)));
}

std::optional<TerminalSize> DecodeResize(const Frame& frame) {
  if (frame.payload.size() != 4) return std::nullopt;
  const std::string_view payload = frame.payload;
  const TerminalSize size{static_cast<uint16_t>(ReadBig(payload.substr(0, 2))),
                          static_cast<uint16_t>(ReadBig(payload.substr(2)))};
  if (size.rows == 0 || size.cols == 0) return std::nullopt;
  return size;
}

std::optional<int32_t> DecodeExit(const Frame& frame) {
  if (frame.payload.size() != 4) return std::nullopt;
  return static_cast<int32_t>(ReadBig(frame.payload));
}

std::optional<int> DecodeSignal(const Frame& frame) {
  if (frame.payload.size() != 1) return std::nullopt;
  const int signal = static_cast<unsigned char>(frame.payload[0]);
  if (signal < 1 || signal > kMaxSignal) return std::nullopt;
  return signal;
}

StatusOr<std::optional<Frame>> FrameReader::Next() {
  const std::string_view rest = std::string_view(buffer_).substr(done_);
  const auto more = [&] {
    buffer_.erase(0, done_);
    done_ = 0;
    return std::optional<Frame>();
  };
  if (rest.size() < kFrameHeader) return more();
  if (rest.substr(1, 3) != std::string_view("\0\0\0", 3)) {
    return InvalidRequest("frame", "bytes 2 to 4 are not zero");
  }
  const uint32_t length = ReadBig(rest.substr(4, 4));
  if (length > kMaxFramePayload) return InvalidRequest("frame", "longer than 1 MiB");
  if (rest.size() - kFrameHeader < length) return more();
  Frame frame{static_cast<uint8_t>(rest[0]), std::string(rest.substr(kFrameHeader, length))};
  done_ += kFrameHeader + length;
  return std::optional<Frame>(std::move(frame));
}

}  // namespace minibox::wire
