// SPDX-License-Identifier: Apache-2.0
#include "build/scheduler.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "core/thread_pool.h"

namespace minibox::build {
namespace {

class Scheduler {
 public:
  Scheduler(const std::vector<Job>& jobs, const std::function<Status(int)>& run)
      : run_(run), dependents_(jobs.size()), missing_(jobs.size()), chain_(jobs.size(), 0) {
    for (size_t i = 0; i < jobs.size(); ++i) {
      missing_[i] = jobs[i].dependencies.size();
      for (const int on : jobs[i].dependencies) {
        dependents_[static_cast<size_t>(on)].push_back(static_cast<int>(i));
      }
    }
    MeasureChains();
  }

  Status Run(int workers) ABSL_LOCKS_EXCLUDED(mutex_) {
    // One task for each job that gets ready; it takes the best one at that moment.
    core::ThreadPool pool(workers);
    {
      absl::MutexLock lock(&mutex_);
      for (size_t i = 0; i < missing_.size(); ++i) {
        if (missing_[i] == 0) MakeReady(static_cast<int>(i), pool);
      }
    }
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(this, &Scheduler::IsOver));
    return first_error_;
  }

 private:
  // Longest chain of dependents, by going through the jobs last dependency first.
  void MeasureChains() {
    std::vector<size_t> left(dependents_.size());
    std::vector<std::vector<size_t>> dependencies(dependents_.size());
    std::vector<size_t> open;
    for (size_t i = 0; i < dependents_.size(); ++i) {
      left[i] = dependents_[i].size();
      for (const int dependent : dependents_[i]) {
        dependencies[static_cast<size_t>(dependent)].push_back(i);
      }
      if (left[i] == 0) open.push_back(i);
    }
    while (!open.empty()) {
      const size_t job = open.back();
      open.pop_back();
      for (const size_t on : dependencies[job]) {
        chain_[on] = std::max(chain_[on], chain_[job] + 1);
        if (--left[on] == 0) open.push_back(on);
      }
    }
  }

  bool IsOver() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return running_ == 0 && (ready_.empty() || !first_error_.ok());
  }

  void MakeReady(int job, core::ThreadPool& pool) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ready_.emplace(-chain_[static_cast<size_t>(job)], job);
    pool.Submit([this, &pool] { RunBest(pool); });
  }

  void RunBest(core::ThreadPool& pool) ABSL_LOCKS_EXCLUDED(mutex_) {
    int job = -1;
    {
      absl::MutexLock lock(&mutex_);
      if (!first_error_.ok() || ready_.empty()) return;
      job = ready_.begin()->second;
      ready_.erase(ready_.begin());
      ++running_;
    }
    const Status status = run_(job);
    absl::MutexLock lock(&mutex_);
    --running_;
    if (!status.ok()) {
      if (first_error_.ok()) first_error_ = status;
      return;
    }
    if (!first_error_.ok()) return;
    for (const int dependent : dependents_[static_cast<size_t>(job)]) {
      if (--missing_[static_cast<size_t>(dependent)] == 0) MakeReady(dependent, pool);
    }
  }

  const std::function<Status(int)>& run_;
  std::vector<std::vector<int>> dependents_;
  std::vector<size_t> missing_;
  std::vector<int> chain_;  // jobs above it in the longest chain
  absl::Mutex mutex_;
  std::set<std::pair<int, int>> ready_ ABSL_GUARDED_BY(mutex_);  // (-chain, job)
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
  Status first_error_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

Status RunJobs(const std::vector<Job>& jobs, int workers, const std::function<Status(int)>& run) {
  if (jobs.empty()) return {};
  return Scheduler(jobs, run).Run(std::max(1, workers));
}

}  // namespace minibox::build
