// SPDX-License-Identifier: Apache-2.0
#include "build/build_session.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "build/block_builder.h"
#include "build/block_layer.h"
#include "build/export.h"
#include "build/limits.h"
#include "build/parser.h"
#include "build/scheduler.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/log.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kShortDigest = 12;

// The last layers of the image, each to be made.
struct PlannedLayer {
  LayerRequest request;
  std::unique_ptr<LayerMaker> maker{};
  std::optional<Layer> layer{};
};

class Session {
 public:
  Session(BuildState& state, const CheckedBuild& checked) : state_(state), checked_(checked) {}

  StatusOr<oci::Descriptor> Run() {
    MBX_RETURN_IF_ERROR(ResolveBases());
    MBX_RETURN_IF_ERROR(MakeThePlan());
    const Status built = BuildBlocks();
    if (built.ok()) return Finalize();
    if (!state_.options.keep_failed.empty()) {
      const Status kept = KeepFailedStep();
      if (!kept.ok()) {
        state_.log.Write(core::StrCat("[build] warning: cannot keep the failed step: ",
                                      core::EscapeControl(kept.message())));
      }
    }
    return built;
  }

 private:
  const File& file() const { return state_.file; }
  const Graph& graph() const { return state_.graph; }
  bool linear() const { return file().format == File::Format::kLinear; }

  Status ResolveBases() {
    std::vector<bool> wanted(graph().bases.size(), false);
    for (const auto& node : graph().nodes) {
      if (node.wanted) wanted[static_cast<size_t>(node.base)] = true;
    }
    if (graph().nodes.empty()) wanted[static_cast<size_t>(graph().file_base)] = true;
    state_.bases.resize(graph().bases.size());
    std::map<std::string, size_t> known;  // identity -> index
    const auto log = [this](std::string line) { state_.log.Write(std::move(line)); };
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (!wanted[i]) continue;
      const auto& name = graph().bases[i];
      const auto [same, is_new] = known.emplace(name.identity, i);
      if (!is_new) {
        state_.bases[i] = state_.bases[same->second];
        continue;
      }
      MBX_ASSIGN_OR_RETURN(
          state_.bases[i],
          ResolveBase(name, checked_.arguments.platform, state_.parts.store, state_.context,
                      state_.lease, state_.parts.digests, state_.options.pull, log, state_.stop));
    }
    return {};
  }

  // Now that the environments of the bases are known.
  Status MakeThePlan() {
    BaseConfigs configs;
    for (const auto& base : state_.bases) configs.push_back(base ? &base->config : nullptr);
    Diagnostics diagnostics;
    // The parser's warnings once more, for the log.
    (void)ParseFile(checked_.source, diagnostics);
    state_.plan = MakePlan(file(), graph(), checked_.arguments, configs, diagnostics);
    const auto resolved = diagnostics.Resolve(checked_.source, kMaxInstructions);
    MBX_RETURN_IF_ERROR(ToStatus(resolved));
    for (const auto& warning : resolved) {
      state_.log.Write(core::StrCat("[build] warning: ", warning.line, ":", warning.column, ": ",
                                    warning.message));
    }
    return {};
  }

  Status BuildBlocks() {
    state_.settings.platform = PlatformText(checked_.arguments.platform);
    state_.settings.epoch = state_.options.source_date_epoch;
    if (linear()) {
      state_.log.Write("[build] mode=legacy-linear");
    } else {
      const auto wanted = std::count_if(graph().nodes.begin(), graph().nodes.end(),
                                        [](const Graph::Node& node) { return node.wanted; });
      state_.log.Write(core::StrCat("[build] mode=dag blocks=", wanted));
      for (size_t i = 0; i < file().blocks.size(); ++i) {
        if (graph().nodes[i].wanted) continue;
        state_.log.Write(core::StrCat("[", file().blocks[i].name, "] SKIPPED (not needed)"));
      }
      state_.waves = std::make_unique<Waves>(file(), graph(), state_.log);
    }
    std::vector<int> jobs;  // wanted blocks
    std::vector<int> job_of(graph().nodes.size(), -1);
    for (size_t i = 0; i < graph().nodes.size(); ++i) {
      if (!graph().nodes[i].wanted) continue;
      job_of[i] = static_cast<int>(jobs.size());
      jobs.push_back(static_cast<int>(i));
    }
    std::vector<Job> plan;
    for (const int block : jobs) {
      Job job;
      for (const int on : graph().nodes[static_cast<size_t>(block)].dependencies) {
        job.dependencies.push_back(job_of[static_cast<size_t>(on)]);
      }
      plan.push_back(std::move(job));
    }
    const Status ran = RunJobs(plan, state_.parts.max_parallel, [&](int job) {
      return BlockBuilder(state_, jobs[static_cast<size_t>(job)]).Build();
    });
    // Of several failures the first one counts, not the one that was noticed first.
    if (!ran.ok()) return state_.HasFailed() ? state_.FirstFailure() : ran;
    if (!linear()) state_.log.Write(state_.waves->Summary());
    return {};
  }

  // ----- layers -----

  std::vector<PlannedLayer> PlanLayers() const {
    std::vector<PlannedLayer> layers;
    if (graph().target < 0) return layers;
    const auto target = static_cast<size_t>(graph().target);
    LayerStack below;
    below.Push(state_.BaseOf(target).directories);
    if (linear()) {
      const BlockOutcome& outcome = state_.outcomes[target];
      for (size_t i = 0; i < outcome.steps.size(); ++i) {
        if (outcome.step_empty[i]) continue;
        AddLayer(outcome.step_trees[i], below, "step", layers);
        for (const auto& tree : outcome.step_trees[i]) below.Push(store::Snapshots::Path(tree));
      }
      return layers;
    }
    for (const int block : Stack()) {
      const auto index = static_cast<size_t>(block);
      const BlockOutcome& outcome = state_.outcomes[index];
      AddLayer(NonEmpty(outcome), state_.StackBelow(index), "block", layers);
    }
    return layers;
  }

  // Blocks of the image, bottom first.
  std::vector<int> Stack() const {
    std::vector<int> stack = graph().nodes[static_cast<size_t>(graph().target)].stack;
    stack.push_back(graph().target);
    return stack;
  }

  void AddLayer(std::vector<std::string> snapshots, LayerStack below, std::string kind,
                std::vector<PlannedLayer>& layers) const {
    PlannedLayer layer;
    layer.request = {.snapshots = std::move(snapshots),
                     .below = std::move(below),
                     .kind = std::move(kind),
                     .compression = state_.options.compression == "zstd"
                                        ? archive::Compression::kZstd
                                        : archive::Compression::kGzip,
                     .epoch = state_.options.source_date_epoch};
    layers.push_back(std::move(layer));
  }

  // What a failed step has left, as an image to run a shell in. Its snapshot goes away.
  Status KeepFailedStep() {
    std::optional<FailedStep> failed;
    {
      absl::MutexLock lock(&state_.mutex);
      failed = state_.failed_step;
    }
    if (!failed) return {};
    const absl::Cleanup remove = [&] { (void)state_.parts.store.snapshots.Remove(failed->key); };
    const auto index = static_cast<size_t>(failed->block);
    std::vector<PlannedLayer> layers;
    for (const int block : graph().nodes[index].stack) {
      const auto below = static_cast<size_t>(block);
      AddLayer(NonEmpty(state_.outcomes[below]), state_.StackBelow(below), "block", layers);
    }
    BlockOutcome outcome;
    outcome.steps = failed->steps;
    outcome.step_empty = failed->step_empty;
    outcome.step_trees = failed->step_trees;
    outcome.steps.push_back(failed->key);
    outcome.step_empty.push_back(failed->empty);
    outcome.step_trees.push_back({failed->key});
    AddLayer(NonEmpty(outcome), state_.StackBelow(index), "failed", layers);
    MBX_RETURN_IF_ERROR(MakeLayers(layers));
    const Base& base = state_.BaseOf(index);
    ImageParts parts{
        .base = &base, .config = base.config, .epoch = state_.options.source_date_epoch};
    parts.config.env = failed->env;
    parts.config.working_dir = failed->workdir;
    parts.config.user = failed->user;
    parts.config.entrypoint.clear();
    parts.config.cmd = failed->argv;
    for (const auto& layer : layers) {
      if (!layer.layer) continue;
      parts.layers.push_back(*layer.layer);
      parts.history.push_back({"failed build", false});
    }
    MBX_ASSIGN_OR_RETURN(const ImageRef name, ImageRef::Parse(state_.options.keep_failed));
    MBX_RETURN_IF_ERROR(ExportImage(parts, state_.parts.store, state_.lease, {name}).status());
    state_.log.Write(core::StrCat("[build] kept the failed step as image '", name.Shown(),
                                  "'; look into it with: minibox run -it --rm ", name.Shown(),
                                  " /bin/sh"));
    return {};
  }

  static std::vector<std::string> NonEmpty(const BlockOutcome& outcome) {
    std::vector<std::string> snapshots;
    for (size_t i = 0; i < outcome.steps.size(); ++i) {
      if (outcome.step_empty[i]) continue;
      snapshots.insert(snapshots.end(), outcome.step_trees[i].begin(), outcome.step_trees[i].end());
    }
    return snapshots;
  }

  Status MakeLayers(std::vector<PlannedLayer>& layers) {
    const std::vector<Job> jobs(layers.size());
    const int workers = state_.parts.max_parallel;
    MBX_RETURN_IF_ERROR(RunJobs(jobs, workers, [&](int job) {
      PlannedLayer& layer = layers[static_cast<size_t>(job)];
      layer.maker = std::make_unique<LayerMaker>(state_.parts.store, state_.shared, state_.lease,
                                                 layer.request);
      return layer.maker->Prepare(state_.stop);
    }));
    const auto count = std::count_if(layers.begin(), layers.end(), [](const PlannedLayer& layer) {
      return !layer.maker->empty();
    });
    state_.log.Write(core::StrCat("[finalize] writing ", count, " layer(s)"));
    return RunJobs(jobs, workers, [&](int job) -> Status {
      PlannedLayer& layer = layers[static_cast<size_t>(job)];
      if (layer.maker->empty()) return {};
      MBX_ASSIGN_OR_RETURN(layer.layer, layer.maker->Make(state_.stop));
      return {};
    });
  }

  // ----- image -----

  StatusOr<oci::Descriptor> Finalize() {
    const auto begin = std::chrono::steady_clock::now();
    const int base_index = graph().target < 0
                               ? graph().file_base
                               : graph().nodes[static_cast<size_t>(graph().target)].base;
    const Base& base = *state_.bases[static_cast<size_t>(base_index)];
    auto layers = PlanLayers();
    MBX_RETURN_IF_ERROR(MakeLayers(layers));
    MBX_FAILPOINT("build.register");
    if (state_.stop.stop_requested()) return core::Cancelled("the build");
    const auto exported = [&]() -> StatusOr<oci::Descriptor> {
      if (state_.plan.same_as_base && base.manifest && state_.options.labels.empty()) {
        return ExportBase(base, state_.parts.store, checked_.names);
      }
      ImageParts parts{.base = &base,
                       .config = state_.plan.config,
                       .labels = state_.options.labels,
                       .epoch = state_.options.source_date_epoch};
      for (const auto& layer : layers) {
        if (layer.layer) parts.layers.push_back(*layer.layer);
      }
      parts.history = linear() ? LinearHistory() : BlockHistory(layers);
      return ExportImage(parts, state_.parts.store, state_.lease, checked_.names);
    }();
    if (exported.ok()) {
      state_.log.Write(core::StrCat("[finalize] done (", Since(begin), ")"));
      for (const ImageRef& name : checked_.names) {
        state_.parts.store.root->events().Emit("image.build", exported->digest.ToString(),
                                               {{"name", name.Shown()}});
      }
    }
    return exported;
  }

  std::vector<HistoryLine> BlockHistory(const std::vector<PlannedLayer>& layers) const {
    std::vector<HistoryLine> history;
    if (graph().target < 0) return history;
    size_t next = 0;
    for (const int block : Stack()) {
      const Block& lines = file().blocks[static_cast<size_t>(block)];
      for (const auto& line : lines.instructions) history.push_back({line.display});
      if (layers[next++].layer) history.push_back({"BLOCK " + lines.name, false});
    }
    return history;
  }

  // One entry per instruction; an action that changed something has a layer.
  std::vector<HistoryLine> LinearHistory() const {
    std::vector<HistoryLine> history;
    const BlockOutcome& outcome = state_.outcomes.front();
    const auto& actions = state_.plan.blocks.front().actions;
    size_t next = 0;
    const auto add = [&](const Instruction& line) {
      HistoryLine entry{line.display};
      if (next < actions.size() && actions[next].offset == line.offset) {
        entry.empty_layer = outcome.step_empty[next++];
      }
      history.push_back(std::move(entry));
    };
    for (const auto& top : file().top) {
      if (top.instruction.directive != Directive::kBase) add(top.instruction);
    }
    for (const auto& line : file().blocks.front().instructions) add(line);
    return history;
  }

  BuildState& state_;
  const CheckedBuild& checked_;
};

StatusOr<ImageInfo> RunSession(BuilderParts& parts, const BuildOptions& options,
                               CheckedBuild& checked, BuildLog& log, Silence& silence,
                               std::stop_token stop) {
  const auto begin = std::chrono::steady_clock::now();
  log.Write(core::StrCat("[build] START image=", core::EscapeControl(options.image)));
  MBX_ASSIGN_OR_RETURN(store::Lease lease, parts.store.leases.Acquire("build"));
  MBX_ASSIGN_OR_RETURN(SharedDirs shared, SharedDirs::Create(*parts.store.root));
  const LineNumbers lines(checked.source);
  BuildState state(parts, options, checked.file, checked.graph, lines,
                   SourceTree::Context(std::move(checked.context), std::move(checked.ignore)),
                   std::move(shared), std::move(lease), log, silence, std::move(stop));
  parts.digests.Load();
  const auto built = Session(state, checked).Run();
  if (const Status saved = parts.digests.Save(); !saved.ok()) {
    core::LogWarning("build", core::StrCat(saved.message(), ", ignoring"));
  }
  MBX_ASSIGN_OR_RETURN(const oci::Descriptor manifest, built);
  MBX_ASSIGN_OR_RETURN(StoredImage image, parts.store.resolve_manifest(manifest.digest));
  image.info.name = checked.names.front().Shown();
  image.info.reference = checked.names.front().ToString();
  log.Write(core::StrCat("[build] DONE image=", core::EscapeControl(options.image), " manifest=",
                         manifest.digest.hex().substr(0, kShortDigest), " (", Since(begin), ")"));
  return std::move(image.info);
}

}  // namespace

StatusOr<ImageInfo> RunBuild(BuilderParts& parts, const BuildOptions& options, CheckedBuild checked,
                             BuildLog& log, Silence& silence, std::stop_token stop) {
  auto image = RunSession(parts, options, checked, log, silence, std::move(stop));
  if (image.ok()) {
    log.Write("Build completed successfully");
    return image;
  }
  std::string message = image.status().message();
  std::replace(message.begin(), message.end(), '\n', ';');
  log.Write("Build failed: " + message);
  return image;
}

}  // namespace minibox::build
