// SPDX-License-Identifier: Apache-2.0
#include "transfer_stream.h"

#include "wire/messages.h"
#include "wire/text.h"
#include "wire/transfer.h"

namespace miniboxd {

using minibox::Progress;
using minibox::Status;
using minibox::wire::StrCat;

namespace {

constexpr std::chrono::milliseconds kInterval{100};

}  // namespace

TransferStream::TransferStream(Engine& engine, Exchange& exchange, std::stop_token gone)
    : gone_(std::move(gone), [this] { stop_.request_stop(); }),
      closing_(engine.operations.get_token(), [this] { stop_.request_stop(); }),
      json_(exchange.head().Accepts(kJsonLines)),
      stream_(exchange.BeginStream(json_ ? kJsonLines : kText, {"X-Minibox-Status"})) {}

void TransferStream::Line(std::string_view line) {
  Write(json_ ? minibox::wire::LogLine(line) : StrCat(line, "\n"));
}

minibox::ProgressFn TransferStream::progress() {
  if (!json_) return {};
  return [this](const Progress& p) { Write(minibox::wire::ProgressLine(p)); };
}

void TransferStream::End(const Status& status, const minibox::ImageInfo* image) {
  if (json_) Write(minibox::wire::FinalLine(status, image));
  if (!broken_) (void)stream_.End({{"X-Minibox-Status", status.ok() ? "ok" : "error"}});
}

void TransferStream::Write(std::string_view text) {
  if (broken_ || stream_.Write(text).ok()) return;
  broken_ = true;
  stop_.request_stop();
}

void ProgressLimit::Report(const Progress& progress) {
  const Clock::time_point now = Clock::now();
  const auto [last, is_new] = last_.try_emplace(progress.subject);
  if (!is_new && last->second.phase == progress.phase && now - last->second.time < kInterval) {
    return;
  }
  last->second = {now, progress.phase};
  out_(progress);
}

void ProgressQueue::Push(const Progress& progress) {
  {
    const std::lock_guard lock(mutex_);
    pending_.push_back(progress);
  }
  changed_.notify_one();
}

void ProgressQueue::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

std::deque<Progress> ProgressQueue::Take(bool wait) {
  std::unique_lock lock(mutex_);
  if (wait) changed_.wait(lock, [&] { return closed_ || !pending_.empty(); });
  return std::exchange(pending_, {});
}

}  // namespace miniboxd
