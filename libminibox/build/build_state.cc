// SPDX-License-Identifier: Apache-2.0
#include "build/build_state.h"

#include <utility>

#include "core/status_macros.h"

namespace minibox::build {

Status BuildState::Fail(Status status) {
  absl::MutexLock lock(&mutex);
  if (first_failure.ok()) first_failure = status;
  return status;
}

bool BuildState::HasFailed() const {
  absl::MutexLock lock(&mutex);
  return !first_failure.ok();
}

Status BuildState::FirstFailure() const {
  absl::MutexLock lock(&mutex);
  return first_failure;
}

void BuildState::Keep(FailedStep step) {
  absl::MutexLock lock(&mutex);
  if (!failed_step) {
    failed_step = std::move(step);
    return;
  }
  // Nobody will ask for it.
  (void)parts.store.snapshots.Remove(step.key);
}

LayerStack BuildState::StackBelow(size_t block) const {
  LayerStack stack;
  stack.Push(BaseOf(block).directories);
  for (const int needed : graph.nodes[block].stack) {
    stack.Push(outcomes[static_cast<size_t>(needed)].directories);
  }
  return stack;
}

LayerStack BuildState::StackWith(size_t block) const {
  LayerStack stack = StackBelow(block);
  stack.Push(outcomes[block].directories);
  return stack;
}

StatusOr<std::shared_ptr<const SourceTree>> BuildState::RootOf(int block) {
  {
    absl::MutexLock lock(&mutex);
    const auto known = roots.find(block);
    if (known != roots.end()) return known->second;
  }
  MBX_ASSIGN_OR_RETURN(core::RootDir root,
                       OpenView(*parts.store.root, StackWith(static_cast<size_t>(block)), shared));
  auto tree = std::make_shared<const SourceTree>(SourceTree::BlockRoot(std::move(root)));
  absl::MutexLock lock(&mutex);
  return roots.emplace(block, std::move(tree)).first->second;
}

}  // namespace minibox::build
