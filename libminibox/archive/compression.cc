// SPDX-License-Identifier: Apache-2.0
#include "archive/compression.h"

#include <isa-l/igzip_lib.h>
#include <unistd.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "archive/block_compressor.h"
#include "core/check.h"
#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::archive {
namespace {

constexpr size_t kInputBytes = 256u << 10;
constexpr size_t kMagicBytes = 4;
constexpr int kZstdMaxWindowLog = 27;  // 128 MiB
constexpr uint64_t kMaxRatio = 200;

Status Damaged(std::string_view what) {
  return core::Error(StatusCode::kDataLoss, "invalid_archive", std::string(what));
}

// One format's decoder. Reads from [next, end), advances `next`, writes at most `size` bytes.
class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual StatusOr<size_t> Decode(const char*& next, const char* end, char* out, size_t size) = 0;
  // Whether the input may end here.
  virtual bool AtBoundary() const = 0;
};

class GzipDecoder : public Decoder {
 public:
  GzipDecoder() : state_(std::make_unique<inflate_state>()) {
    isal_inflate_init(state_.get());
    state_->crc_flag = ISAL_GZIP;
  }

  StatusOr<size_t> Decode(const char*& next, const char* end, char* out, size_t size) override {
    if (state_->block_state == ISAL_BLOCK_FINISH) {
      if (next == end) return size_t{0};
      isal_inflate_reset(state_.get());  // another member follows
    }
    state_->next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(next));
    state_->avail_in = static_cast<uint32_t>(end - next);
    state_->next_out = reinterpret_cast<uint8_t*>(out);
    state_->avail_out = static_cast<uint32_t>(std::min<size_t>(size, UINT32_MAX));
    const uint32_t before = state_->avail_out;
    const int result = isal_inflate(state_.get());
    next = end - state_->avail_in;
    if (result == ISAL_INCORRECT_CHECKSUM) return Damaged("gzip: wrong checksum");
    if (result < 0) return Damaged("gzip: damaged data");
    return size_t{before - state_->avail_out};
  }
  bool AtBoundary() const override { return state_->block_state == ISAL_BLOCK_FINISH; }

 private:
  std::unique_ptr<inflate_state> state_;
};

class ZstdDecoder : public Decoder {
 public:
  ZstdDecoder() : context_(ZSTD_createDCtx()) {
    MBX_CHECK(context_ != nullptr);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, kZstdMaxWindowLog);
  }
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }

  StatusOr<size_t> Decode(const char*& next, const char* end, char* out, size_t size) override {
    if (at_boundary_ && next == end) return size_t{0};
    ZSTD_inBuffer in{next, static_cast<size_t>(end - next), 0};
    ZSTD_outBuffer buffer{out, size, 0};
    const size_t hint = ZSTD_decompressStream(context_, &buffer, &in);
    if (ZSTD_isError(hint)) return Damaged(core::StrCat("zstd: ", ZSTD_getErrorName(hint)));
    next += in.pos;
    at_boundary_ = hint == 0;
    return buffer.pos;
  }
  bool AtBoundary() const override { return at_boundary_; }

 private:
  ZSTD_DCtx* context_;
  bool at_boundary_ = false;
};

class Decompressor {
 public:
  Decompressor(ReadFn source, uint64_t bomb_free_bytes)
      : source_(std::move(source)), bomb_free_bytes_(bomb_free_bytes), buffer_(kInputBytes) {}

  StatusOr<size_t> Read(char* out, size_t size) {
    if (!failure_.ok()) return failure_;
    auto count = ReadOnce(out, size);
    if (!count.ok()) failure_ = count.status();
    return count;
  }

 private:
  StatusOr<size_t> ReadOnce(char* out, size_t size) {
    if (size == 0) return size_t{0};
    if (!started_) MBX_RETURN_IF_ERROR(Start());
    if (decoder_ == nullptr) return ReadPlain(out, size);
    while (true) {
      if (next_ == end_ && !at_end_) MBX_RETURN_IF_ERROR(Fill());
      const char* next = buffer_.data() + next_;
      MBX_ASSIGN_OR_RETURN(const size_t count,
                           decoder_->Decode(next, buffer_.data() + end_, out, size));
      const size_t consumed = static_cast<size_t>(next - buffer_.data()) - next_;
      next_ += consumed;
      consumed_ += consumed;
      produced_ += count;
      MBX_RETURN_IF_ERROR(CheckRatio());
      if (count > 0) return count;
      if (consumed == 0 && at_end_ && next_ == end_) {
        if (!decoder_->AtBoundary()) return Damaged("compressed data ends too early");
        return size_t{0};
      }
    }
  }

  Status Start() {
    started_ = true;
    while (end_ < kMagicBytes && !at_end_) MBX_RETURN_IF_ERROR(Fill());
    switch (DetectCompression(std::string_view(buffer_.data(), end_))) {
      case Compression::kNone:
        break;
      case Compression::kGzip:
        decoder_ = std::make_unique<GzipDecoder>();
        break;
      case Compression::kZstd:
        decoder_ = std::make_unique<ZstdDecoder>();
        break;
    }
    return {};
  }

  Status Fill() {
    if (next_ == end_) next_ = end_ = 0;
    MBX_ASSIGN_OR_RETURN(const size_t count, source_(buffer_.data() + end_, buffer_.size() - end_));
    end_ += count;
    at_end_ = count == 0;
    return {};
  }

  StatusOr<size_t> ReadPlain(char* out, size_t size) {
    if (next_ == end_) return at_end_ ? StatusOr<size_t>(size_t{0}) : source_(out, size);
    const size_t count = std::min(size, end_ - next_);
    std::copy_n(buffer_.data() + next_, count, out);
    next_ += count;
    return count;
  }

  Status CheckRatio() const {
    if (produced_ <= bomb_free_bytes_ || (produced_ - bomb_free_bytes_) / kMaxRatio <= consumed_) {
      return {};
    }
    return core::Error(StatusCode::kResourceExhausted, "invalid_archive",
                       core::StrCat("expands to more than ", kMaxRatio, " times its size"));
  }

  ReadFn source_;
  const uint64_t bomb_free_bytes_;
  std::vector<char> buffer_;
  size_t next_ = 0, end_ = 0;  // what of buffer_ is not consumed yet
  bool started_ = false, at_end_ = false;
  std::unique_ptr<Decoder> decoder_;  // null: plain
  uint64_t consumed_ = 0, produced_ = 0;
  Status failure_;
};

class PlainCompressor : public Compressor {
 public:
  explicit PlainCompressor(WriteFn sink) : sink_(std::move(sink)) {}
  Status Write(std::string_view bytes) override { return sink_(bytes); }
  Status Finish() override { return {}; }

 private:
  WriteFn sink_;
};

}  // namespace

ReadFn ReadFromFd(int fd) {
  return [fd](char* buffer, size_t size) -> StatusOr<size_t> {
    while (true) {
      const ssize_t count = read(fd, buffer, size);
      if (count >= 0) return static_cast<size_t>(count);
      if (errno != EINTR) return core::SysError("read", core::StrCat("descriptor ", fd));
    }
  };
}

WriteFn WriteToFd(int fd) {
  return [fd](std::string_view bytes) { return core::WriteAll(fd, bytes); };
}

Compression DetectCompression(std::string_view head) {
  if (head.starts_with("\x1f\x8b")) return Compression::kGzip;
  if (head.starts_with("\x28\xb5\x2f\xfd")) return Compression::kZstd;
  // A skippable frame in front, as parallel and seekable compressors write it.
  if (head.size() >= kMagicBytes && (head[0] & 0xf0) == 0x50 &&
      head.substr(1, 3) == "\x2a\x4d\x18") {
    return Compression::kZstd;
  }
  return Compression::kNone;
}

ReadFn Decompress(ReadFn source, uint64_t bomb_free_bytes) {
  auto state = std::make_shared<Decompressor>(std::move(source), bomb_free_bytes);
  return [state](char* buffer, size_t size) { return state->Read(buffer, size); };
}

StatusOr<std::unique_ptr<Compressor>> Compressor::Create(Compression format, WriteFn sink,
                                                         int threads) {
  std::unique_ptr<Compressor> compressor;
  switch (format) {
    case Compression::kNone:
      compressor = std::make_unique<PlainCompressor>(std::move(sink));
      break;
    case Compression::kGzip:
      compressor = MakeGzipCompressor(std::move(sink), threads);
      break;
    case Compression::kZstd:
      compressor = MakeZstdCompressor(std::move(sink), threads);
      break;
  }
  MBX_CHECK(compressor != nullptr);
  return compressor;
}

}  // namespace minibox::archive
