// SPDX-License-Identifier: Apache-2.0
// Builds one block: finds each action in the cache or runs it (spec §8.3, §8.4).
#pragma once

#include <string>
#include <vector>

#include "build/build_state.h"
#include "build/copy_plan.h"
#include "minibox/status.h"
#include "store/snapshots.h"

namespace minibox::build {

// Used by one thread. What the block needs has been built; leaves its outcome in `state`.
class BlockBuilder {
 public:
  BlockBuilder(BuildState& state, int index);
  Status Build();

 private:
  Status BuildActions();
  Status BuildAction(size_t number, const Action& action);
  StatusOr<std::optional<store::SnapshotRecord>> FindSnapshot(const std::string& key);
  bool MayReuse(const std::string& key) const;
  // Runs the action and publishes what it leaves.
  StatusOr<store::SnapshotRecord> Execute(const Action& action, const std::string& key,
                                          const CopyPlan& copy);
  Status Write(const Action& action, const CopyPlan& copy, const StepDir& dir);
  Status RunCommand(const Action& action, const core::RootDir& below, const StepDir& dir);
  StepRequest Request(const Action& action, const StepDir& dir) const;

  void Log(std::string_view text) const;
  void AnnounceAction(size_t number, const Action& action, bool cached);
  // "line 7 (block 'app'): RUN make: …"
  Status WithPlace(const Action& action, const Status& status) const;
  std::string NetworkOf(const Action& action) const;

  BuildState& state_;
  const size_t index_;
  const bool linear_;
  const std::string prefix_;  // "[name] "
  const PlannedBlock& plan_;
  LayerStack stack_;  // what the next action sees
  BlockOutcome outcome_;
  bool all_cached_ = true;
  std::vector<std::string> held_lines_;  // of cached actions, until one is not
};

}  // namespace minibox::build
