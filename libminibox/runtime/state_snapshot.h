// SPDX-License-Identifier: Apache-2.0
// DataRoot/state.json, the aggregate for tools that read it: follows within 1 s (spec §6.1).
#pragma once

#include <memory>

#include "minibox/status.h"
#include "store/data_root.h"

namespace minibox::runtime {

// Thread-safe.
class StateSnapshot {
 public:
  explicit StateSnapshot(std::shared_ptr<store::DataRoot> root);
  // Writes what is still due.
  ~StateSnapshot();
  // The records have changed: several changes within a quarter of a second share a write.
  void Touch();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minibox::runtime
