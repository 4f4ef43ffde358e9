// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads that run tasks in order of submission.
#pragma once

#include <functional>
#include <memory>

namespace minibox::core {

// Thread-safe. The destructor runs what is queued and joins.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  void Submit(std::function<void()> task);
  // Runs what is queued, and what that submits, and joins. Nothing submitted later runs.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::core
