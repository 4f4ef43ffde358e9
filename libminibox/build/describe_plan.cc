// SPDX-License-Identifier: Apache-2.0
#include "build/describe_plan.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "build/copy_plan.h"
#include "build/limits.h"
#include "build/plan.h"
#include "build/step_mounts.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/differences.h"

namespace minibox::build {
namespace {

// What is known of a block without building it.
struct Known {
  std::string key{};  // final; "" if something it depends on is not known
  bool cached = false;
  std::vector<std::string> directories{};
};

class Describer {
 public:
  Describer(BuilderParts& parts, const BuildOptions& options, CheckedBuild& checked,
            std::stop_token stop)
      : parts_(parts),
        options_(options),
        checked_(checked),
        stop_(std::move(stop)),
        context_(SourceTree::Context(std::move(checked.context), std::move(checked.ignore))),
        lines_(checked.source),
        known_(checked.file.blocks.size()) {}

  StatusOr<BuildPlan> Describe() {
    const auto& graph = checked_.graph;
    bases_.resize(graph.bases.size());
    BaseConfigs configs;
    for (size_t i = 0; i < bases_.size(); ++i) {
      MBX_ASSIGN_OR_RETURN(bases_[i], PeekBase(graph.bases[i], checked_.arguments.platform,
                                               parts_.store, context_, parts_.digests, stop_));
      configs.push_back(bases_[i] ? &bases_[i]->config : nullptr);
    }
    Diagnostics diagnostics;
    plan_ = MakePlan(checked_.file, graph, checked_.arguments, configs, diagnostics);
    MBX_RETURN_IF_ERROR(ToStatus(diagnostics.Resolve(checked_.source, kMaxInstructions)));
    settings_ = {.platform = PlatformText(checked_.arguments.platform),
                 .epoch = options_.source_date_epoch};

    BuildPlan out;
    out.linear = checked_.file.format == File::Format::kLinear;
    if (graph.target >= 0) out.target = Name(graph.target);
    out.blocks.resize(checked_.file.blocks.size());
    for (const int index : graph.order) {
      MBX_RETURN_IF_ERROR(DescribeBlock(index, out.blocks[static_cast<size_t>(index)]));
    }
    return out;
  }

 private:
  const std::string& Name(int block) const {
    return checked_.file.blocks[static_cast<size_t>(block)].name;
  }

  Status DescribeBlock(int index, BuildPlan::Block& out) {
    const auto at = static_cast<size_t>(index);
    const Graph::Node& node = checked_.graph.nodes[at];
    out.name = Name(index);
    out.line = lines_.At(checked_.file.blocks[at].offset);
    out.generation = node.generation;
    out.wanted = node.wanted;
    if (node.base >= 0) out.base = checked_.graph.bases[static_cast<size_t>(node.base)].text;
    for (const int on : node.needs) out.needs.push_back(Name(on));
    for (const int on : node.build_needs) out.build_needs.push_back(Name(on));
    Known& known = known_[at];
    known.key = StartKey(node);
    known.cached = !known.key.empty();
    for (const auto& action : plan_.blocks[at].actions) {
      BuildPlan::Step step{.instruction = action.display, .line = lines_.At(action.offset)};
      if (node.wanted && !known.key.empty()) {
        if (stop_.stop_requested()) return core::Cancelled("the plan");
        MBX_ASSIGN_OR_RETURN(known.key, KeyOf(action, known.key));
        step.key = known.key;
        MBX_ASSIGN_OR_RETURN(step.cached, Find(known, step.key));
      }
      known.cached = known.cached && step.cached;
      out.steps.push_back(std::move(step));
    }
    out.key = node.wanted ? known.key : std::string();
    out.cached = node.wanted && known.cached;
    return {};
  }

  // "" if the base or a block below is not known.
  std::string StartKey(const Graph::Node& node) const {
    const auto& base = node.base < 0 ? std::nullopt : bases_[static_cast<size_t>(node.base)];
    if (!base) return {};
    std::vector<std::string> stack;
    for (const int on : node.stack) {
      stack.push_back(known_[static_cast<size_t>(on)].key);
      if (stack.back().empty()) return {};
    }
    return BlockStartKey(base->key, stack);
  }

  StatusOr<bool> Find(Known& known, const std::string& key) const {
    if (!options_.use_cache) return false;
    // Not Snapshots::Find, which would remove one that is damaged.
    const auto record = parts_.store.snapshots.Peek(key);
    if (!record) return false;
    if (record->empty) return true;
    const auto trees = store::TreesOf(parts_.store.snapshots, key);
    if (!trees.ok()) return false;
    for (const auto& tree : *trees) known.directories.push_back(store::Snapshots::Path(tree));
    return true;
  }

  // "" if it takes something of a block that is not built yet.
  StatusOr<std::string> KeyOf(const Action& action, const std::string& previous) {
    std::vector<KeyEntry> entries;
    const auto add = [&](int from, const std::vector<std::string>& sources,
                         std::optional<mode_t> chmod, bool with_owner) -> StatusOr<bool> {
      std::shared_ptr<const SourceTree> root;
      if (from >= 0) {
        MBX_ASSIGN_OR_RETURN(root, RootOf(from));
        if (root == nullptr) return false;
      }
      MBX_ASSIGN_OR_RETURN(const CopyPlan copy, PlanCopy(root ? *root : context_, sources, chmod,
                                                         root ? nullptr : &parts_.digests, stop_));
      for (auto& entry : copy.Key(with_owner)) entries.push_back(std::move(entry));
      return true;
    };
    const auto place = [&](const Status& status) {
      return status.WithContext(
          core::StrCat("line ", lines_.At(action.offset), ": ", action.display));
    };
    if (action.kind == Directive::kCopy) {
      const auto known = add(action.from, action.sources, action.chmod, false);
      if (!known.ok()) return place(known.status());
      if (!*known) return std::string();
    }
    for (const auto& mount : action.mounts) {
      if (mount.type != MountType::kBind) continue;
      const auto known = add(mount.from, {LiteralPattern(mount.source)}, std::nullopt, true);
      if (!known.ok()) return place(known.status());
      if (!*known) return std::string();
    }
    return ActionKey(previous, action, NetworkOf(action, options_.network), settings_, entries);
  }

  // Null unless all of it is in the cache.
  StatusOr<std::shared_ptr<const SourceTree>> RootOf(int block) {
    const Graph::Node& node = checked_.graph.nodes[static_cast<size_t>(block)];
    LayerStack stack;
    stack.Push(bases_[static_cast<size_t>(node.base)]->directories);
    std::vector<int> blocks = node.stack;
    blocks.push_back(block);
    for (const int index : blocks) {
      const Known& known = known_[static_cast<size_t>(index)];
      if (!known.cached) return std::shared_ptr<const SourceTree>();
      stack.Push(known.directories);
    }
    if (!shared_) {
      MBX_ASSIGN_OR_RETURN(SharedDirs shared, SharedDirs::Create(*parts_.store.root));
      shared_.emplace(std::move(shared));
    }
    auto view = OpenView(*parts_.store.root, stack, *shared_);
    // Layers that are gone or were never unpacked: it will be built.
    if (!view.ok()) return std::shared_ptr<const SourceTree>();
    return std::make_shared<const SourceTree>(SourceTree::BlockRoot(std::move(*view)));
  }

  BuilderParts& parts_;
  const BuildOptions& options_;
  CheckedBuild& checked_;
  std::stop_token stop_;
  SourceTree context_;
  LineNumbers lines_;
  KeySettings settings_;
  Plan plan_;
  std::vector<std::optional<Base>> bases_;
  std::vector<Known> known_;
  std::optional<SharedDirs> shared_;
};

}  // namespace

StatusOr<BuildPlan> DescribePlan(BuilderParts& parts, const BuildOptions& options,
                                 CheckedBuild checked, std::stop_token stop) {
  parts.digests.Load();
  auto plan = Describer(parts, options, checked, std::move(stop)).Describe();
  // The next one has less to read; if that fails it reads.
  (void)parts.digests.Save();
  return plan;
}

}  // namespace minibox::build
