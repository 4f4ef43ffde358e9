// SPDX-License-Identifier: Apache-2.0
#include "build/progress.h"

#include <utility>

#include "core/strings.h"

namespace minibox::build {

std::string Since(std::chrono::steady_clock::time_point begin) {
  const auto took = std::chrono::steady_clock::now() - begin;
  return core::FormatDuration(std::chrono::nanoseconds(took).count());
}

Waves::Waves(const File& file, const Graph& graph, BuildLog& log) : graph_(graph), log_(log) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!graph.nodes[i].wanted) continue;
    Wave& wave = waves_[graph.nodes[i].generation];
    if (wave.blocks++ > 0) wave.members += ',';
    wave.members += file.blocks[i].name;
  }
}

void Waves::BlockStarts(int index, std::string line) {
  const int generation = graph_.nodes[static_cast<size_t>(index)].generation;
  // Written under the lock, so that no other block of the generation gets in between.
  absl::MutexLock lock(&mutex_);
  Wave& wave = waves_[generation];
  if (!wave.announced) {
    wave.announced = true;
    log_.Write(core::StrCat("[dag] wave=", generation, " ready=", wave.members));
  }
  log_.Write(std::move(line));
}

void Waves::BlockEnds(int index, bool cached, uint64_t cpu_usec) {
  const int generation = graph_.nodes[static_cast<size_t>(index)].generation;
  absl::MutexLock lock(&mutex_);
  Wave& wave = waves_[generation];
  ++(cached ? wave.cached : wave.built);
  wave.cpu_usec += cpu_usec;
  if (wave.cached + wave.built < wave.blocks) return;
  const auto cpu_ns = static_cast<int64_t>(wave.cpu_usec) * 1000;
  log_.Write(core::StrCat("[dag] wave=", generation, " done cached=", wave.cached,
                          " built=", wave.built, " cpu_time=", core::FormatDuration(cpu_ns)));
}

std::string Waves::Summary() const {
  absl::MutexLock lock(&mutex_);
  int blocks = 0, cached = 0, built = 0;
  for (const auto& [generation, wave] : waves_) {
    blocks += wave.blocks;
    cached += wave.cached;
    built += wave.built;
  }
  return core::StrCat("[dag-summary] blocks=", blocks, " cached=", cached, " built=", built);
}

Silence::Step::Step(Silence& silence, std::string prefix) : silence_(silence) {
  absl::MutexLock lock(&silence_.mutex_);
  entry_ = silence_.steps_.emplace(silence_.steps_.end(), std::move(prefix), Clock::now());
}

Silence::Step::~Step() {
  absl::MutexLock lock(&silence_.mutex_);
  silence_.steps_.erase(entry_);
}

void Silence::Step::Touch() {
  absl::MutexLock lock(&silence_.mutex_);
  entry_->second = Clock::now();
}

std::vector<std::string> Silence::Lines() {
  const auto now = Clock::now();
  std::vector<std::string> lines;
  absl::MutexLock lock(&mutex_);
  for (auto& [prefix, last] : steps_) {
    if (now - last < limit_) continue;
    lines.push_back(prefix + "... (still working)");
    last = now;
  }
  return lines;
}

}  // namespace minibox::build
