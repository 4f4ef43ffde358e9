// SPDX-License-Identifier: Apache-2.0
// When the steps of a launch ended, for the breakdown in bench/.
#pragma once

#include <string.h>
#include <time.h>

#include "init/protocol.h"

namespace minibox::init {

inline uint64_t NowNs(clockid_t clock) {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

class StepLog {
 public:
  void Add(const char* name) {
    if (count_ == kMaxSteps) return;
    Step& step = steps_[count_++];
    memset(&step, 0, sizeof step);
    strncpy(step.name, name, sizeof step.name - 1);
    step.ns = NowNs(CLOCK_MONOTONIC);
  }
  // Those that another process has sent.
  void Add(const void* steps, uint32_t size) {
    uint32_t count = size / sizeof(Step);
    if (count > kMaxSteps - count_) count = kMaxSteps - count_;
    memcpy(steps_ + count_, steps, count * sizeof(Step));
    count_ += count;
  }
  const Step* data() const { return steps_; }
  uint32_t bytes() const { return count_ * static_cast<uint32_t>(sizeof(Step)); }
  void Clear() { count_ = 0; }

 private:
  Step steps_[kMaxSteps];
  uint32_t count_ = 0;
};

}  // namespace minibox::init
