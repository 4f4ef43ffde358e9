// SPDX-License-Identifier: Apache-2.0
#include "archive/read_ahead.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "core/check.h"
#include "core/status_macros.h"
#include "core/thread.h"
#include "oci/digest.h"

namespace minibox::archive {
namespace {

constexpr size_t kBufferBytes = 256u << 10;
constexpr size_t kBuffers = 8;

struct Buffer {
  std::vector<char> bytes = std::vector<char>(kBufferBytes);
  size_t size = 0;
};

}  // namespace

struct ReadAhead::Impl {
  explicit Impl(ReadFn from) : source(std::move(from)) {}

  // Fills a buffer unless the source ends before.
  Status Fill(Buffer& buffer) {
    buffer.size = 0;
    while (buffer.size < buffer.bytes.size()) {
      MBX_ASSIGN_OR_RETURN(const size_t count, source(buffer.bytes.data() + buffer.size,
                                                      buffer.bytes.size() - buffer.size));
      if (count == 0) {
        source_ended = true;
        break;
      }
      buffer.size += count;
    }
    hash.Update(std::string_view(buffer.bytes.data(), buffer.size));
    return {};
  }

  void Run() {
    Buffer buffer;
    while (true) {
      Status filled = Fill(buffer);
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return abandoned || full.size() < kBuffers; });
      if (abandoned) return;
      if (buffer.size > 0) full.push_back(std::move(buffer));
      if (!filled.ok()) failure = std::move(filled);
      ended = source_ended || !failure.ok();
      changed.notify_all();
      if (ended) return;
      if (spare.empty()) {
        buffer = Buffer();
      } else {
        buffer = std::move(spare.back());
        spare.pop_back();
      }
    }
  }

  // The next buffer; empty at the end.
  StatusOr<Buffer> Next() {
    if (!started) {
      started = true;
      Buffer first;
      MBX_RETURN_IF_ERROR(Fill(first));
      ended = source_ended;
      if (!ended) thread = core::StartThread("mbx-unpack", [this] { Run(); });
      return first;
    }
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ended || !full.empty(); });
    if (full.empty()) {
      if (!failure.ok()) return failure;
      return Buffer{{}, 0};
    }
    Buffer next = std::move(full.front());
    full.pop_front();
    changed.notify_all();
    return next;
  }

  ReadFn source;
  core::Sha256 hash;
  bool source_ended = false;

  bool started = false;
  Buffer current{{}, 0};
  size_t position = 0;

  std::mutex mutex;  // guards what follows, once the thread runs
  std::condition_variable changed;
  std::deque<Buffer> full;
  std::vector<Buffer> spare;
  bool ended = false, abandoned = false;
  Status failure;
  std::thread thread;
};

ReadAhead::ReadAhead(ReadFn source) : impl_(std::make_unique<Impl>(std::move(source))) {}

ReadAhead::~ReadAhead() {
  if (!impl_->thread.joinable()) return;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->abandoned = true;
  }
  impl_->changed.notify_all();
  impl_->thread.join();
}

StatusOr<size_t> ReadAhead::Read(char* buffer, size_t size) {
  Impl& impl = *impl_;
  if (impl.position == impl.current.size) {
    if (!impl.current.bytes.empty()) {
      const std::lock_guard lock(impl.mutex);
      impl.spare.push_back(std::move(impl.current));
    }
    impl.current = Buffer{{}, 0};
    impl.position = 0;
    MBX_ASSIGN_OR_RETURN(impl.current, impl.Next());
    if (impl.current.size == 0) return size_t{0};
  }
  const size_t count = std::min(size, impl.current.size - impl.position);
  std::copy_n(impl.current.bytes.data() + impl.position, count, buffer);
  impl.position += count;
  return count;
}

Digest ReadAhead::DigestOfAll() {
  MBX_CHECK(impl_->started && impl_->ended && impl_->failure.ok());
  return oci::DigestFromHex(impl_->hash.FinishHex());
}

}  // namespace minibox::archive
