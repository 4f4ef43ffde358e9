// SPDX-License-Identifier: Apache-2.0
// Percentages of processor time that clients do not disturb for each other (spec §12.16).
//
//   Ask(ids) ──> samples of the last 2 s, taken twice a second as long as somebody asks
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/event_loop.h"
#include "core/thread_pool.h"
#include "minibox/types.h"

namespace minibox::runtime {

struct CpuSample {
  std::chrono::steady_clock::time_point at{};
  uint64_t usec = 0;
};

// The samples of one container, oldest first. Not thread-safe.
class CpuHistory {
 public:
  static constexpr std::chrono::milliseconds kYoungest{500}, kOldest{2000};

  void Add(const CpuSample& sample);
  // The youngest that is 0.5 to 2 s old; nullopt: none.
  std::optional<CpuSample> BaseFor(std::chrono::steady_clock::time_point now) const;

 private:
  std::deque<CpuSample> samples_;
};

// 100 is one processor. 0 if time stood still, or counted from 0 again.
double CpuPercent(const CpuSample& from, const CpuSample& to);

// Thread-safe.
class CpuSampler {
 public:
  // Processor time of a container in microseconds. Called from several threads.
  using ReadFn = std::function<uint64_t(const ContainerId&)>;
  // Both outlive Close().
  CpuSampler(ReadFn read, core::EventLoop* loop, core::ThreadPool* pool);
  ~CpuSampler();

  // What there is to compare with, by container in the order of `ids`. If any has no sample that
  // is old enough, takes one of those and waits 100 ms.
  std::vector<CpuSample> Ask(const std::vector<ContainerId>& ids);
  // Neither loop nor pool are used afterwards.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
