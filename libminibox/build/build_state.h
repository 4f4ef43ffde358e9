// SPDX-License-Identifier: Apache-2.0
// What the blocks of one build share while they are built.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "build/base.h"
#include "build/build_log.h"
#include "build/cache_key.h"
#include "build/copy_history.h"
#include "build/file_digests.h"
#include "build/graph.h"
#include "build/layer_stack.h"
#include "build/plan.h"
#include "build/progress.h"
#include "build/source_tree.h"
#include "build/step_runner.h"
#include "build/store_parts.h"
#include "minibox/image_builder.h"

namespace minibox::build {

// What a builder keeps between builds.
struct BuilderParts {
  StoreParts store;
  StepEnvironment steps;
  int max_parallel = 1;
  FileDigests digests;
  CopyHistory copies{};
  std::chrono::milliseconds look_for_silence{5000}, silence{10000};
};

// What came of a block. Written by the block's job, read by jobs that depend on it.
struct BlockOutcome {
  std::string key{};                 // of its last action, or its start key
  std::vector<std::string> steps{};  // keys of all actions
  std::vector<bool> step_empty{};    // which of them changed nothing
  // The trees of each that changed something: keys, bottom first.
  std::vector<std::vector<std::string>> step_trees{};
  std::vector<std::string> directories{};  // all these trees
  bool cached = false;
  uint64_t cpu_usec = 0;
};

// What a failed step has left, for people to look into.
struct FailedStep {
  int block = -1;
  std::vector<std::string> steps{};  // keys of what came before it in the block
  std::vector<bool> step_empty{};
  std::vector<std::vector<std::string>> step_trees{};
  std::string key{};  // of the snapshot; of no use after the build
  bool empty = false;
  std::vector<std::string> argv{}, env{};
  std::string workdir{}, user{};
};

struct BuildState {
  BuildState(BuilderParts& parts, const BuildOptions& options, const File& file, const Graph& graph,
             const LineNumbers& lines, SourceTree context, SharedDirs shared, store::Lease lease,
             BuildLog& log, Silence& silence, std::stop_token stop)
      : parts(parts),
        options(options),
        file(file),
        graph(graph),
        lines(lines),
        context(std::move(context)),
        shared(std::move(shared)),
        lease(std::move(lease)),
        log(log),
        silence(silence),
        stop(std::move(stop)),
        outcomes(file.blocks.size()) {}

  // The first failure ends the build: no new action starts. Returns `status`.
  Status Fail(Status status) ABSL_LOCKS_EXCLUDED(mutex);
  bool HasFailed() const ABSL_LOCKS_EXCLUDED(mutex);
  Status FirstFailure() const ABSL_LOCKS_EXCLUDED(mutex);
  // Of several the first.
  void Keep(FailedStep step) ABSL_LOCKS_EXCLUDED(mutex);

  const Base& BaseOf(size_t block) const {
    return *bases[static_cast<size_t>(graph.nodes[block].base)];
  }
  // Everything under and in the block.
  LayerStack StackBelow(size_t block) const;
  LayerStack StackWith(size_t block) const;
  // The complete root of a finished block, for FROM=.
  StatusOr<std::shared_ptr<const SourceTree>> RootOf(int block) ABSL_LOCKS_EXCLUDED(mutex);

  BuilderParts& parts;
  const BuildOptions& options;
  const File& file;
  const Graph& graph;
  const LineNumbers& lines;
  const SourceTree context;
  const SharedDirs shared;
  store::Lease lease;
  BuildLog& log;
  Silence& silence;
  const std::stop_token stop;
  KeySettings settings{};
  std::vector<std::optional<Base>> bases{};  // of wanted blocks, by index into Graph::bases
  Plan plan{};
  std::unique_ptr<Waves> waves{};  // of a DAG file
  std::vector<BlockOutcome> outcomes;

  mutable absl::Mutex mutex;
  // Keys that this build has made: without the cache they still count.
  std::set<std::string> made ABSL_GUARDED_BY(mutex);
  std::map<int, std::shared_ptr<const SourceTree>> roots ABSL_GUARDED_BY(mutex);
  Status first_failure ABSL_GUARDED_BY(mutex);
  std::optional<FailedStep> failed_step ABSL_GUARDED_BY(mutex);
};

}  // namespace minibox::build
