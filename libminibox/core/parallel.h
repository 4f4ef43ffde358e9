// SPDX-License-Identifier: Apache-2.0
// The same work on many things, on several threads.
#pragma once

#include <cstddef>
#include <functional>

#include "minibox/status.h"

namespace minibox::core {

// Calls `work(index, worker)` for each index below `count`, from up to `workers` threads, the
// calling one (worker 0) among them; worth a thread each `grain` of them. After an error no new
// index is begun. Returns the error of the lowest index that failed.
Status ForEachIndex(size_t count, int workers, size_t grain,
                    const std::function<Status(size_t index, size_t worker)>& work);

// How many threads work that reads files and computes is worth.
int WorkerThreads();

}  // namespace minibox::core
