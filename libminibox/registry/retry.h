// SPDX-License-Identifier: Apache-2.0
// When to try again, and how long to wait (spec §9.1).
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>

#include "minibox/status.h"
#include "registry/http_client.h"

namespace minibox::registry {

// How one attempt ended.
struct Outcome {
  Status status{};
  bool retryable = false;    // connection errors, stalls, 408, 429, 5xx
  bool next_source = false;  // what a mirror may fail with: those, and 404
  bool progressed = false;   // it brought bytes that were not there
  std::optional<std::chrono::seconds> retry_after{};
};

// Of a request that was to give `what`: OK for 2xx.
Outcome Judge(const StatusOr<HttpResponse>& response, const std::string& what);

class Retry {
 public:
  static constexpr int kAttempts = 3;
  static constexpr std::chrono::minutes kLongestWait{5};

  explicit Retry(std::chrono::milliseconds first_delay) : first_delay_(first_delay) {}
  // The time to wait before the next attempt, or nullopt: that was the last one.
  std::optional<std::chrono::milliseconds> After(const Outcome& outcome);
  // Number of the next attempt, 1 to 3.
  int attempt() const { return failures_ + 1; }

 private:
  const std::chrono::milliseconds first_delay_;
  int failures_ = 0;
};

// kCancelled once `stop` is requested.
Status Wait(std::chrono::milliseconds time, const std::stop_token& stop);

}  // namespace minibox::registry
