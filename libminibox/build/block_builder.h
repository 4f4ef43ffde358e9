// SPDX-License-Identifier: Apache-2.0
// Builds one block: finds each action in the cache or runs it (spec §8.3, §8.4).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "build/build_state.h"
#include "build/copy_plan.h"
#include "build/tidy.h"
#include "minibox/status.h"
#include "store/snapshots.h"

namespace minibox::build {

// What an action reads besides the root it works on.
struct ActionInput {
  CopyPlan copy{};                // COPY
  std::vector<CopyPlan> binds{};  // RUN --mount=type=bind
};

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
                                          const ActionInput& input);
  Status Write(const Action& action, const CopyPlan& copy, const StepDir& dir);
  Status RunAction(const Action& action, const ActionInput& input, const core::RootDir& below,
                   const StepDir& dir);
  Status RunAutoDeps(const Action& action, const core::RootDir& below, const StepDir& dir);
  Status RunCommand(const StepRequest& request);
  StepRequest Request(const Action& action, const StepDir& dir) const;
  // What a failed step has left, as a snapshot that is no result of anything.
  Status KeepFailed(const Action& action, const StepRequest& request, const StepDir& dir,
                    const core::RootDir& below, const TidyOptions& tidy);

  void Log(std::string_view text) const;
  void AnnounceAction(size_t number, const Action& action, bool cached);
  // "line 7 (block 'app'): RUN make: …"
  Status WithPlace(const Action& action, const Status& status) const;

  BuildState& state_;
  const size_t index_;
  const bool linear_;
  const std::string prefix_;  // "[name] "
  const PlannedBlock& plan_;
  LayerStack stack_;  // what the next action sees
  BlockOutcome outcome_;
  bool all_cached_ = true;
  std::optional<StepRequest> failed_;    // the command that failed
  std::vector<std::string> held_lines_;  // of cached actions, until one is not
};

}  // namespace minibox::build
