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
  CopyPlan copy{};  // COPY
  // COPY of the context: what its key would be but for the entries, and these.
  std::string shape{};
  std::vector<KeyEntry> entries{};
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
  // What a COPY may lie over: its last snapshot, which is then leased, and what differs.
  struct Difference {
    std::vector<std::string> trees{};  // keys, bottom first
    std::string inode{};               // of the last of them
    CopyPlan copy{};
  };
  StatusOr<std::optional<Difference>> FindDifference(const Action& action, const std::string& key,
                                                     const ActionInput& input);
  // Runs the action and publishes what it leaves.
  StatusOr<store::SnapshotRecord> Execute(const Action& action, const std::string& key,
                                          const ActionInput& input);
  StatusOr<store::SnapshotRecord> Execute(const Action& action, const std::string& key,
                                          const ActionInput& input,
                                          const std::optional<Difference>& difference);
  Status Write(const Action& action, const CopyPlan& copy, const StepDir& dir,
               const LayerStack& stack);
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
