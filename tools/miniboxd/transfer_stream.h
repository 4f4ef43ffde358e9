// SPDX-License-Identifier: Apache-2.0
// The answer to a transfer (pull, push, load, import): lines of text, or JSON lines with progress,
// and the result in a trailer (spec §4.2, §5.7).
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "exchange.h"
#include "handlers.h"
#include "minibox/registry.h"

namespace miniboxd {

// Begins the answer. Whoever does not read any more is gone, and cancels the transfer; so does the
// daemon's end. Used by one thread at a time, but for stop().
class TransferStream {
 public:
  // `gone` is requested once the client is: Exchange::gone(), unless the body is still to come.
  TransferStream(Engine& engine, Exchange& exchange, std::stop_token gone);

  std::stop_token stop() const { return stop_.get_token(); }
  void Line(std::string_view line);
  minibox::TransferLogFn log() {
    return [this](std::string_view line) { Line(line); };
  }
  // Empty if the client does not want to see any.
  minibox::ProgressFn progress();
  // With the image that was made, if there is one.
  void End(const minibox::Status& status, const minibox::ImageInfo* image);

 private:
  void Write(std::string_view text);

  std::stop_source stop_;
  const std::stop_callback<std::function<void()>> gone_, closing_;
  const bool json_;
  ResponseStream stream_;
  bool broken_ = false;
};

// Lets at most ten a second of each subject through, and every change of phase.
class ProgressLimit {
 public:
  explicit ProgressLimit(minibox::ProgressFn out) : out_(std::move(out)) {}
  void Report(const minibox::Progress& progress);

 private:
  using Clock = std::chrono::steady_clock;
  struct Last {
    Clock::time_point time{};
    minibox::Progress::Phase phase{};
  };
  const minibox::ProgressFn out_;
  std::map<std::string, Last> last_;
};

// Progress on its way from the thread that works to the one that answers. Thread-safe.
class ProgressQueue {
 public:
  void Push(const minibox::Progress& progress);
  // Nothing follows.
  void Close();
  // Waits for some, unless `wait` is off or it is closed. Empty and closed: that was all.
  std::deque<minibox::Progress> Take(bool wait);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<minibox::Progress> pending_;
  bool closed_ = false;
};

}  // namespace miniboxd
