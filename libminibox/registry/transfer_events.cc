// SPDX-License-Identifier: Apache-2.0
#include "registry/transfer_events.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace minibox::registry {

void TransferEvents::Line(std::string line) {
  {
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(line));
  }
  changed_.notify_one();
}

void TransferEvents::Report(Progress progress) {
  {
    const std::lock_guard lock(mutex_);
    Subject& subject = subjects_[progress.subject];
    subject.newest = std::move(progress);
    subject.delivered = false;
  }
  changed_.notify_one();
}

void TransferEvents::Close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  changed_.notify_one();
}

void TransferEvents::Deliver(const TransferLogFn& log, const ProgressFn& progress) {
  std::unique_lock lock(mutex_);
  while (true) {
    const auto now = Clock::now();
    auto wake = Clock::time_point::max();
    std::vector<Progress> due;
    for (auto& [name, subject] : subjects_) {
      if (subject.delivered) continue;
      if (!closed_ && subject.next > now) {
        wake = std::min(wake, subject.next);
        continue;
      }
      subject.delivered = true;
      subject.next = now + kInterval;
      due.push_back(subject.newest);
    }
    const std::deque<std::string> lines = std::exchange(lines_, {});
    if (due.empty() && lines.empty()) {
      if (closed_) return;
      if (wake == Clock::time_point::max()) {
        changed_.wait(lock);
      } else {
        changed_.wait_until(lock, wake);
      }
      continue;
    }
    lock.unlock();
    if (progress) {
      for (const Progress& step : due) progress(step);
    }
    if (log) {
      for (const std::string& line : lines) log(line);
    }
    lock.lock();
  }
}

}  // namespace minibox::registry
