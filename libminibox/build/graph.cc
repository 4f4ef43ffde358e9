// SPDX-License-Identifier: Apache-2.0
#include "build/graph.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <set>
#include <unordered_map>
#include <utility>

#include "build/limits.h"
#include "build/paths.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

struct Edge {
  int to;
  size_t offset;
};

class GraphBuilder {
 public:
  GraphBuilder(const File& file, const Arguments& arguments, Diagnostics& diagnostics)
      : file_(file),
        arguments_(arguments),
        diagnostics_(diagnostics),
        edges_(file.blocks.size()),
        own_base_(file.blocks.size(), -1) {
    graph_.nodes.resize(file.blocks.size());
    for (size_t i = 0; i < file.blocks.size(); ++i) {
      indices_.emplace(file.blocks[i].name, static_cast<int>(i));
      names_.push_back(file.blocks[i].name);
    }
  }

  Graph Build(int target) {
    ResolveDependencies();
    ResolveBases();
    if (FindCycles()) return std::move(graph_);
    SortBlocks();
    AssignStacks();
    AssignBases();
    graph_.target = target >= 0 ? target : static_cast<int>(graph_.nodes.size()) - 1;
    MarkWanted();
    CheckBases();
    return std::move(graph_);
  }

 private:
  Graph::Node& node(int index) { return graph_.nodes[static_cast<size_t>(index)]; }
  const Block& block(int index) const { return file_.blocks[static_cast<size_t>(index)]; }

  // ----- dependencies -----

  void ResolveDependencies() {
    for (size_t i = 0; i < file_.blocks.size(); ++i) {
      for (const auto& instruction : file_.blocks[i].instructions) {
        auto& kind = instruction.directive == Directive::kNeed ? graph_.nodes[i].needs
                                                               : graph_.nodes[i].build_needs;
        for (const auto& name : instruction.blocks) AddEdge(i, name, kind);
        if (instruction.from) AddEdge(i, *instruction.from, kind);
        for (const auto& mount : instruction.mounts) {
          if (mount.from) AddEdge(i, {*mount.from, mount.from_offset}, kind);
        }
      }
      Graph::Node& node = graph_.nodes[i];
      node.dependencies = node.needs;
      node.dependencies.insert(node.dependencies.end(), node.build_needs.begin(),
                               node.build_needs.end());
      std::sort(node.dependencies.begin(), node.dependencies.end());
      node.dependencies.erase(std::unique(node.dependencies.begin(), node.dependencies.end()),
                              node.dependencies.end());
    }
  }

  void AddEdge(size_t from, const BlockName& name, std::vector<int>& kind) {
    const auto found = indices_.find(name.name);
    if (found == indices_.end()) {
      // Looking for a near name costs something: not for a file of nothing but wrong ones.
      const bool suggest = ++unknown_ <= kMaxDiagnostics;
      diagnostics_.Error(name.offset,
                         core::StrCat("unknown block ", Quoted(name.name),
                                      suggest ? Suggestion(name.name, names_) : std::string()));
      return;
    }
    if (!seen_.emplace(&kind, found->second).second) return;
    kind.push_back(found->second);
    edges_[from].push_back({found->second, name.offset});
  }

  // ----- cycles -----

  bool FindCycles() {
    enum class Colour : uint8_t { kWhite, kGrey, kBlack };
    std::vector<Colour> colours(edges_.size(), Colour::kWhite);
    struct Frame {
      int node;
      size_t next = 0;
    };
    bool found = false;
    for (size_t start = 0; start < edges_.size(); ++start) {
      if (colours[start] != Colour::kWhite) continue;
      std::vector<Frame> path = {{static_cast<int>(start)}};
      colours[start] = Colour::kGrey;
      while (!path.empty()) {
        Frame& frame = path.back();
        const auto& edges = edges_[static_cast<size_t>(frame.node)];
        if (frame.next == edges.size()) {
          colours[static_cast<size_t>(frame.node)] = Colour::kBlack;
          path.pop_back();
          continue;
        }
        const Edge edge = edges[frame.next++];
        Colour& colour = colours[static_cast<size_t>(edge.to)];
        if (colour == Colour::kWhite) {
          colour = Colour::kGrey;
          path.push_back({edge.to});
        } else if (colour == Colour::kGrey) {
          std::vector<int> cycle;
          auto at = path.end();
          do {
            --at;
            cycle.push_back(at->node);
          } while (at->node != edge.to);
          std::reverse(cycle.begin(), cycle.end());
          ReportCycle(std::move(cycle));
          found = true;
        }
      }
    }
    return found;
  }

  // Told once for blocks that are in several, at the first block's line.
  void ReportCycle(std::vector<int> cycle) {
    for (const int index : cycle) {
      if (reported_.contains(index)) return;
    }
    reported_.insert(cycle.begin(), cycle.end());
    std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
    const int second = cycle.size() > 1 ? cycle[1] : cycle[0];
    size_t offset = block(cycle[0]).offset;
    for (const auto& edge : edges_[static_cast<size_t>(cycle[0])]) {
      if (edge.to == second) offset = edge.offset;
    }
    constexpr size_t kShown = 20;
    std::string text = "dependency cycle: ";
    for (size_t i = 0; i < std::min(cycle.size(), kShown); ++i) {
      text += block(cycle[i]).name + " → ";
    }
    if (cycle.size() > kShown) text += "… → ";
    diagnostics_.Error(offset, text + block(cycle[0]).name);
  }

  // ----- order -----

  void SortBlocks() {
    const size_t count = graph_.nodes.size();
    std::vector<int> missing(count, 0);
    std::vector<std::vector<int>> dependents(count);
    std::priority_queue<int, std::vector<int>, std::greater<>> ready;
    for (size_t i = 0; i < count; ++i) {
      missing[i] = static_cast<int>(graph_.nodes[i].dependencies.size());
      for (const int on : graph_.nodes[i].dependencies) {
        dependents[static_cast<size_t>(on)].push_back(static_cast<int>(i));
      }
      if (missing[i] == 0) ready.push(static_cast<int>(i));
    }
    while (!ready.empty()) {
      const int index = ready.top();
      ready.pop();
      graph_.order.push_back(index);
      node(index).generation = 1;
      for (const int on : node(index).dependencies) {
        node(index).generation = std::max(node(index).generation, 1 + node(on).generation);
      }
      for (const int dependent : dependents[static_cast<size_t>(index)]) {
        if (--missing[static_cast<size_t>(dependent)] == 0) ready.push(dependent);
      }
    }
  }

  void AssignStacks() {
    const size_t count = graph_.nodes.size();
    std::vector<std::vector<bool>> closures(count, std::vector<bool>(count, false));
    for (const int index : graph_.order) {
      auto& closure = closures[static_cast<size_t>(index)];
      for (const int on : node(index).needs) {
        const auto& below = closures[static_cast<size_t>(on)];
        closure[static_cast<size_t>(on)] = true;
        for (size_t i = 0; i < count; ++i) {
          if (below[i]) closure[i] = true;
        }
      }
    }
    for (const int index : graph_.order) {
      for (size_t above = 0; above < count; ++above) {
        if (closures[above][static_cast<size_t>(index)]) graph_.nodes[above].stack.push_back(index);
      }
    }
  }

  void MarkWanted() {
    if (graph_.target < 0) return;
    std::vector<int> open = {graph_.target};
    node(graph_.target).wanted = true;
    while (!open.empty()) {
      const int index = open.back();
      open.pop_back();
      for (const int on : node(index).dependencies) {
        if (node(on).wanted) continue;
        node(on).wanted = true;
        open.push_back(on);
      }
    }
  }

  // ----- bases -----

  // What a BASE line sees are the ARG and ENV lines above it; a base's own environment cannot
  // be known yet. The errors of those lines are told when they are applied in earnest.
  void ResolveBases() {
    Diagnostics ignored;
    Expander quiet(ignored), expander(diagnostics_);
    Scope scope(arguments_, true);
    size_t top = 0;
    for (size_t i = 0; i <= file_.blocks.size(); ++i) {
      for (; top < file_.top.size() && file_.top[top].blocks_before <= i; ++top) {
        const Instruction& instruction = file_.top[top].instruction;
        if (instruction.directive == Directive::kBase) {
          graph_.file_base = AddBase(instruction, scope, expander);
        } else {
          ApplyVariables(instruction, scope, quiet);
        }
      }
      if (i < file_.blocks.size()) own_base_[i] = OwnBase(file_.blocks[i], scope, quiet, expander);
    }
  }

  static void ApplyVariables(const Instruction& instruction, Scope& scope, Expander& expander) {
    if (instruction.directive == Directive::kEnv) expander.ApplyEnv(instruction, scope);
    if (instruction.directive == Directive::kArg) expander.ApplyArg(instruction, scope);
  }

  int OwnBase(const Block& block, const Scope& outer, Expander& quiet, Expander& expander) {
    const auto& lines = block.instructions;
    const bool has_base = std::any_of(lines.begin(), lines.end(), [](const Instruction& line) {
      return line.directive == Directive::kBase;
    });
    if (!has_base) return -1;
    Scope scope = outer;
    int base = -1;
    for (const auto& line : lines) {
      if (line.directive == Directive::kBase) base = AddBase(line, scope, expander);
      ApplyVariables(line, scope, quiet);
    }
    return base;
  }

  int AddBase(const Instruction& instruction, const Scope& scope, Expander& expander) {
    BaseName base{.offset = instruction.words[0].offset};
    const auto text = expander.Expand(instruction.words[0], scope);
    std::optional<std::string> platform = std::string();
    if (instruction.platform) platform = expander.Expand(*instruction.platform, scope);
    if (text && platform) {
      base.text = *text;
      base.platform = *platform;
      CheckBaseName(base);
    }
    graph_.bases.push_back(std::move(base));
    return static_cast<int>(graph_.bases.size()) - 1;
  }

  void CheckBaseName(BaseName& base) {
    const auto reference = ImageRef::Parse(base.text);
    if (base.scratch()) {
      base.identity = "scratch";
    } else if (IsArchivePath(base.text)) {
      base.identity = "archive " + CleanPath(base.text);
    } else if (reference.ok()) {
      base.identity = "image " + reference->ToString() + " " + base.platform;
    } else {
      diagnostics_.Error(base.offset, core::StrCat("malformed base ", Quoted(base.text),
                                                   ": neither an image nor an archive"));
      base.text.clear();
    }
    const auto parts = core::StrSplit(base.platform, '/');
    const bool well_formed = parts.size() >= 2 && parts.size() <= 3 &&
                             std::none_of(parts.begin(), parts.end(),
                                          [](std::string_view part) { return part.empty(); });
    if (!base.platform.empty() && !well_formed) {
      diagnostics_.Error(base.offset, core::StrCat("malformed platform ", Quoted(base.platform),
                                                   ": expected os/arch or os/arch/variant"));
    }
  }

  void AssignBases() {
    for (const int index : graph_.order) {
      int inherited = -1, giver = -1;
      for (const int on : node(index).needs) {
        const int base = node(on).base;
        if (base < 0 || IsScratch(base) || !IsKnown(base)) continue;
        if (inherited < 0) {
          inherited = base;
          giver = on;
        } else if (Identity(base) != Identity(inherited)) {
          Conflict(index,
                   core::StrCat("block ", Quoted(block(giver).name), " has the base ",
                                Quoted(Text(inherited))),
                   on, base);
          break;
        }
      }
      const int own = own_base_[static_cast<size_t>(index)];
      if (own >= 0 && inherited >= 0 && IsKnown(own) && Identity(own) != Identity(inherited)) {
        Conflict(index, core::StrCat("its own base is ", Quoted(Text(own))), giver, inherited);
      }
      node(index).base = own >= 0 ? own : inherited >= 0 ? inherited : graph_.file_base;
    }
  }

  void Conflict(int index, const std::string& first, int other, int base) {
    size_t offset = block(index).offset;
    for (const auto& edge : edges_[static_cast<size_t>(index)]) {
      if (edge.to == other) offset = edge.offset;
    }
    diagnostics_.Error(
        offset, core::StrCat("block ", Quoted(block(index).name), " would have two bases: ", first,
                             ", block ", Quoted(block(other).name), " has ", Quoted(Text(base))));
  }

  void CheckBases() {
    if (graph_.nodes.empty()) {
      if (graph_.file_base < 0 && !diagnostics_.failed()) diagnostics_.Error(0, "no base");
      return;
    }
    // A BASE line that could not be read has been told.
    if (diagnostics_.failed()) return;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      if (!graph_.nodes[i].wanted || graph_.nodes[i].base >= 0) continue;
      diagnostics_.Error(file_.blocks[i].offset,
                         core::StrCat("block ", Quoted(file_.blocks[i].name), " has no base"));
    }
  }

  const BaseName& base(int index) const { return graph_.bases[static_cast<size_t>(index)]; }
  bool IsKnown(int index) const { return !base(index).text.empty(); }
  bool IsScratch(int index) const { return base(index).scratch(); }
  const std::string& Identity(int index) const { return base(index).identity; }
  const std::string& Text(int index) const { return base(index).text; }

  const File& file_;
  const Arguments& arguments_;
  Diagnostics& diagnostics_;
  Graph graph_;
  std::vector<std::vector<Edge>> edges_;
  std::vector<int> own_base_;
  std::unordered_map<std::string_view, int> indices_;
  std::vector<std::string_view> names_;
  std::set<std::pair<const void*, int>> seen_;
  std::set<int> reported_;
  size_t unknown_ = 0;
};

}  // namespace

bool IsArchivePath(std::string_view text) {
  return text.ends_with(".tar") || text.ends_with(".tar.gz") || text.ends_with(".tgz") ||
         text.ends_with(".tar.zst");
}

Graph BuildGraph(const File& file, const Arguments& arguments, int target,
                 Diagnostics& diagnostics) {
  return GraphBuilder(file, arguments, diagnostics).Build(target);
}

int FindBlock(const File& file, std::string_view name) {
  for (size_t i = 0; i < file.blocks.size(); ++i) {
    if (file.blocks[i].name == name) return static_cast<int>(i);
  }
  return -1;
}

}  // namespace minibox::build
