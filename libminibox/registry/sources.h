// SPDX-License-Identifier: Apache-2.0
// Where an image can be had: mirrors in order, then the registry itself (spec §9.1).
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "registry/remote.h"
#include "registry/retry.h"

namespace minibox::registry {

struct Source {
  explicit Source(std::unique_ptr<Remote> r) : remote(std::move(r)) {}
  std::unique_ptr<Remote> remote;
  std::atomic<bool> down = false;  // a mirror that could not be reached: not asked again
};

struct Sources {
  std::vector<std::unique_ptr<Source>> list{};  // the last is the registry
  std::chrono::milliseconds retry_delay{1'000};
};

using AttemptFn = std::function<Outcome(Remote& remote)>;
// Before the wait for another attempt at the registry.
using RetryingFn =
    std::function<void(const Status& why, std::chrono::milliseconds delay, int attempt)>;

// One attempt at each mirror until one does not fail as a mirror may, then up to three at the
// registry, more while they bring something.
Status TrySources(const Sources& sources, const AttemptFn& attempt, const RetryingFn& retrying,
                  const std::stop_token& stop);

}  // namespace minibox::registry
