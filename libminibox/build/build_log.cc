// SPDX-License-Identifier: Apache-2.0
#include "build/build_log.h"

#include <utility>

#include "absl/time/time.h"

namespace minibox::build {

void BuildLog::Write(std::string line) {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &BuildLog::CanWrite));
  if (closed_) return;
  bytes_ += line.size() + 1;
  lines_.push_back(std::move(line));
}

void BuildLog::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

Status BuildLog::Deliver(const BuildEventFn& events, std::chrono::milliseconds tick_interval,
                         const std::function<std::vector<std::string>()>& tick) {
  const auto hand_over = [&](const std::string& line) {
    return events ? events(BuildEvent{line}) : Status();
  };
  auto next_tick = std::chrono::steady_clock::now() + tick_interval;
  while (true) {
    std::deque<std::string> batch;
    {
      const auto wait = next_tick - std::chrono::steady_clock::now();
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(this, &BuildLog::CanRead), absl::FromChrono(wait));
      if (closed_ && lines_.empty()) return {};
      batch.swap(lines_);
      bytes_ = 0;
    }
    if (std::chrono::steady_clock::now() >= next_tick) {
      for (auto& line : tick()) batch.push_back(std::move(line));
      next_tick = std::chrono::steady_clock::now() + tick_interval;
    }
    for (const auto& line : batch) {
      const Status status = hand_over(line);
      if (status.ok()) continue;
      Close();
      return status;
    }
  }
}

}  // namespace minibox::build
