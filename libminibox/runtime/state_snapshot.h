// SPDX-License-Identifier: Apache-2.0
// DataRoot/state.json, the aggregate for tools that read it: follows within 1 s (spec §6.1).
#pragma once

#include <memory>

#include "core/event_loop.h"
#include "core/thread_pool.h"
#include "store/data_root.h"

namespace minibox::runtime {

// Thread-safe.
class StateSnapshot {
 public:
  // Both outlive Close().
  StateSnapshot(std::shared_ptr<store::DataRoot> root, core::EventLoop* loop,
                core::ThreadPool* pool);
  // Writes what is still due.
  ~StateSnapshot();
  // The records have changed: several changes within a quarter of a second share a write.
  void Touch();
  // Neither loop nor pool are used afterwards.
  void Close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
