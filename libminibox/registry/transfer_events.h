// SPDX-License-Identifier: Apache-2.0
// What a transfer has to say, on its way from the library's threads to the caller's: a listener
// that is slow, or does not return at all, holds up nobody.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "minibox/registry.h"

namespace minibox::registry {

class TransferEvents {
 public:
  static constexpr std::chrono::milliseconds kInterval{100};  // per subject

  void Line(std::string line);
  // Only the newest of each subject is kept.
  void Report(Progress progress);
  // Nothing follows.
  void Close();
  // Hands on what comes until Close(), and the last state of each subject.
  void Deliver(const TransferLogFn& log, const ProgressFn& progress);

 private:
  using Clock = std::chrono::steady_clock;
  struct Subject {
    Progress newest{};
    bool delivered = false;
    Clock::time_point next{};
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> lines_;
  std::map<std::string, Subject> subjects_;
  bool closed_ = false;
};

}  // namespace minibox::registry
