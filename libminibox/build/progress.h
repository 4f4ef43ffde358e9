// SPDX-License-Identifier: Apache-2.0
// The lines of a build about its blocks and generations (spec §8.8), and who has been silent.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "build/ast.h"
#include "build/build_log.h"
#include "build/graph.h"
#include "minibox/status.h"

namespace minibox::build {

// "12ms" since `begin`.
std::string Since(std::chrono::steady_clock::time_point begin);

// Generations of a DAG file. Thread-safe.
class Waves {
 public:
  Waves(const File& file, const Graph& graph, BuildLog& log);

  // "[dag] wave=K ready=…" if it is the generation's first, then `line`, in one go.
  void BlockStarts(int index, std::string line) ABSL_LOCKS_EXCLUDED(mutex_);
  // "[dag] wave=K done …" if it was the generation's last.
  void BlockEnds(int index, bool cached, uint64_t cpu_usec) ABSL_LOCKS_EXCLUDED(mutex_);
  // "[dag-summary] …"
  std::string Summary() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Wave {
    std::string members{};  // names, comma separated
    int blocks = 0, cached = 0, built = 0;
    uint64_t cpu_usec = 0;
    bool announced = false;
  };
  const Graph& graph_;
  BuildLog& log_;
  mutable absl::Mutex mutex_;
  std::map<int, Wave> waves_ ABSL_GUARDED_BY(mutex_);
};

// Steps that are running. Thread-safe.
class Silence {
 public:
  using Clock = std::chrono::steady_clock;
  // A running step; silent from now on until Touch.
  class Step {
   public:
    Step(Silence& silence, std::string prefix);
    ~Step();
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    void Touch();

   private:
    Silence& silence_;
    std::list<std::pair<std::string, Clock::time_point>>::iterator entry_;
  };

  explicit Silence(std::chrono::milliseconds limit) : limit_(limit) {}
  // "[<block>] ... (still working)" for each that has been silent for the limit, which
  // begins anew with the line.
  std::vector<std::string> Lines() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::chrono::milliseconds limit_;
  absl::Mutex mutex_;
  std::list<std::pair<std::string, Clock::time_point>> steps_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace minibox::build
