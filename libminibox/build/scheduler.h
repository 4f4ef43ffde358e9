// SPDX-License-Identifier: Apache-2.0
// Runs jobs that depend on each other, each as soon as its dependencies are done and a worker
// is free; no barrier (spec §8.4).
#pragma once

#include <functional>
#include <vector>

#include "minibox/status.h"

namespace minibox::build {

struct Job {
  std::vector<int> dependencies{};  // indices of other jobs
};

// `run` is called from up to `workers` threads, once for each job; a job that ends with an
// error is the last to start. The longest remaining chain goes first, then the lowest index.
// Returns the first error once all that were started have ended. The jobs have no cycle.
Status RunJobs(const std::vector<Job>& jobs, int workers, const std::function<Status(int)>& run);

}  // namespace minibox::build
