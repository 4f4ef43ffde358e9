// SPDX-License-Identifier: Apache-2.0
#include "build/plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "build/limits.h"
#include "build/paths.h"
#include "build/state.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

constexpr size_t kMaxPathBytes = 4095;
constexpr size_t kMaxLabels = 1000;
constexpr size_t kMaxLabelKey = 256;
constexpr size_t kMaxLabelValue = 64u << 10;
constexpr int64_t kSecondNs = 1'000'000'000;
// What a column-1 action costs of the budget in each block that follows.
constexpr size_t kActionCost = 1024;

bool IsPackageText(std::string_view text) {
  return !text.empty() && text[0] != '-' && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("+-._:~/").find(c) != std::string_view::npos;
  });
}

// The state while the lines of one block are applied.
struct BlockState {
  BlockState(const Arguments& arguments, const oci::ImageConfig* base)
      : scope(arguments, base != nullptr) {
    if (base == nullptr) return;
    for (const auto& entry : base->env) {
      const size_t equals = entry.find('=');
      if (equals == std::string::npos) continue;
      scope.env.Set(entry.substr(0, equals), entry.substr(equals + 1));
    }
    if (!base->working_dir.empty()) workdir = ResolvePath("/", base->working_dir);
    user = base->user;
    if (!base->shell.empty()) shell = base->shell;
  }

  void Set(const Changes& inherited) {
    for (const auto& [name, value] : inherited.env.entries()) scope.env.Set(name, value);
    if (inherited.workdir && *inherited.workdir != "/") workdir = *inherited.workdir;
    if (inherited.user) user = *inherited.user;
    if (inherited.shell) shell = *inherited.shell;
    variables.reset();
  }

  Scope scope;
  std::string workdir = "/", user{};
  std::vector<std::string> shell = {"/bin/sh", "-c"};
  Changes all{};  // column 1, NEEDs, own
  Changes own{};  // NEEDs, own: what a block that needs this one inherits
  std::vector<Action> actions{};
  const Instruction* auto_deps = nullptr;        // to be done last
  std::shared_ptr<const Variables> variables{};  // of the present scope, made when needed
};

class Planner {
 public:
  Planner(const File& file, const Graph& graph, const Arguments& arguments,
          const BaseConfigs& bases, Diagnostics& diagnostics)
      : file_(file),
        graph_(graph),
        arguments_(arguments),
        bases_(bases),
        diagnostics_(diagnostics),
        expander_(diagnostics) {}

  Plan Make() {
    plan_.blocks.resize(file_.blocks.size());
    MakeStarts();
    for (const int index : graph_.order) PlanBlock(static_cast<size_t>(index));
    PlanImage();
    return std::move(plan_);
  }

 private:
  const oci::ImageConfig* BaseConfig(int base) const {
    return base < 0 ? nullptr : bases_[static_cast<size_t>(base)];
  }

  // ----- column 1 -----

  // Column-1 lines are applied once for each base, on and on; every block takes a copy of how
  // far its place in the file lets it see.
  struct Column {
    explicit Column(BlockState state) : state(std::move(state)) {}
    BlockState state;
    size_t applied = 0;
  };

  BlockState& ColumnState(int base, size_t blocks_before) {
    auto found = columns_.find(base);
    if (found == columns_.end()) {
      found = columns_.emplace(base, BlockState(arguments_, BaseConfig(base))).first;
    }
    Column& column = found->second;
    for (; column.applied < file_.top.size() &&
           file_.top[column.applied].blocks_before <= blocks_before;
         ++column.applied) {
      Apply(file_.top[column.applied].instruction, column.state, true);
    }
    return column.state;
  }

  void MakeStarts() {
    for (size_t i = 0; i < file_.blocks.size(); ++i) {
      const BlockState& column = ColumnState(graph_.nodes[i].base, i);
      const size_t cost = column.scope.env.bytes() + column.actions.size() * kActionCost;
      if (!expander_.Spend(cost, file_.blocks[i].offset)) return;
      states_.push_back(column);
    }
  }

  // ----- blocks -----

  void PlanBlock(size_t index) {
    if (index >= states_.size()) return;
    BlockState& state = states_[index];
    for (const int on : graph_.nodes[index].needs) {
      if (static_cast<size_t>(on) >= states_.size()) return;
      const Changes& inherited = states_[static_cast<size_t>(on)].own;
      if (!expander_.Spend(inherited.env.bytes(), file_.blocks[index].offset)) return;
      state.Set(inherited);
      state.all.Inherit(inherited);
      state.own.Inherit(inherited);
    }
    plan_.blocks[index].start_workdir = state.workdir;
    for (const auto& line : file_.blocks[index].instructions) Apply(line, state, false);
    if (state.auto_deps != nullptr) AddAutoDeps(*state.auto_deps, state);
    plan_.blocks[index].actions = std::move(state.actions);
  }

  void PlanImage() {
    const bool no_blocks = file_.blocks.empty();
    if (!no_blocks && graph_.target < 0) return;
    const int base =
        no_blocks ? graph_.file_base : graph_.nodes[static_cast<size_t>(graph_.target)].base;
    BlockState& column = ColumnState(base, file_.blocks.size() - (no_blocks ? 0 : 1));
    Changes changes;
    if (no_blocks) {
      changes = column.all;
    } else {
      if (static_cast<size_t>(graph_.target) >= states_.size()) return;
      const BlockState& target = states_[static_cast<size_t>(graph_.target)];
      changes = target.all;
      // Lines below the last block see column-1 ARGs and the target's environment.
      column.scope.env = target.scope.env;
      column.workdir = target.workdir;
      column.all = {};
      ColumnState(base, file_.blocks.size());
      for (const auto& [name, value] : column.all.env.entries()) changes.env.Set(name, value);
      // Unlike an inherited one, a workdir "/" counts here.
      const auto workdir = column.all.workdir ? column.all.workdir : changes.workdir;
      changes.Inherit(column.all);
      changes.workdir = workdir;
    }
    const oci::ImageConfig* config = BaseConfig(base);
    if (config == nullptr) return;
    plan_.config = ApplyChanges(*config, changes);
    plan_.same_as_base =
        no_blocks && oci::SerializeImageConfig(plan_.config) == oci::SerializeImageConfig(*config);
  }

  // ----- lines -----

  void Error(size_t offset, std::string message) { diagnostics_.Error(offset, std::move(message)); }

  std::optional<std::string> Expand(const Word& word, const BlockState& state) {
    return expander_.Expand(word, state.scope);
  }
  // The only operand.
  std::optional<std::string> Operand(const Instruction& line, const BlockState& state) {
    return Expand(line.words[0], state);
  }

  void Apply(const Instruction& line, BlockState& state, bool column_one) {
    Changes* own = column_one ? nullptr : &state.own;
    const auto set = [&](auto member, const auto& value) {
      state.all.*member = value;
      if (own != nullptr) own->*member = value;
    };
    switch (line.directive) {
      case Directive::kArg:
        expander_.ApplyArg(line, state.scope);
        state.variables.reset();
        return;
      case Directive::kEnv:
        expander_.ApplyEnv(line, state.scope);
        for (const auto& assignment : line.assignments) {
          const auto& value = *state.scope.env.Find(assignment.name);
          state.all.env.Set(assignment.name, value);
          if (own != nullptr) own->env.Set(assignment.name, value);
        }
        state.variables.reset();
        return;
      case Directive::kWorkdir:
        return ApplyWorkdir(line, state, own);
      case Directive::kUser: {
        const auto user = Operand(line, state);
        if (!user) return;
        if (!IsValidUser(*user)) {
          return Error(line.words[0].offset, core::StrCat("malformed user ", Quoted(*user)));
        }
        state.user = *user;
        return set(&Changes::user, *user);
      }
      case Directive::kShell:
        state.shell = *line.json;
        return set(&Changes::shell, *line.json);
      case Directive::kStart:
        return set(&Changes::start, *line.json);
      case Directive::kEntrypoint:
        return set(&Changes::entrypoint, *line.json);
      case Directive::kStopsignal: {
        const auto text = Operand(line, state);
        if (!text) return;
        const auto signal = core::ParseSignal(*text);
        if (!signal) {
          return Error(line.words[0].offset, core::StrCat("unknown signal ", Quoted(*text)));
        }
        return set(&Changes::stop_signal, core::StrCat("SIG", core::SignalName(*signal)));
      }
      case Directive::kLabel:
        return ApplyLabel(line, state, own);
      case Directive::kPort:
        return ApplyPort(line, state, own);
      case Directive::kVolume:
        return ApplyVolume(line, state, own);
      case Directive::kHealthcheck:
        return set(&Changes::healthcheck, Healthcheck(line));
      case Directive::kRun:
        return AddRun(line, state);
      case Directive::kPkg:
        return AddPkg(line, state);
      case Directive::kCopy:
        return AddCopy(line, state);
      case Directive::kBase:
      case Directive::kBlock:
      case Directive::kNeed:
      case Directive::kBneed:
        return;
      case Directive::kAutoDeps:
        if (file_.format == File::Format::kLinear) return AddAutoDeps(line, state);
        // The last action of its block, wherever it stands.
        state.auto_deps = &line;
        return;
    }
  }

  void ApplyWorkdir(const Instruction& line, BlockState& state, Changes* own) {
    const auto path = Operand(line, state);
    if (!path) return;
    if (path->empty() || path->size() > kMaxPathBytes) {
      return Error(line.words[0].offset, core::StrCat("malformed path ", Quoted(*path)));
    }
    state.workdir = ResolvePath(state.workdir, *path);
    state.all.workdir = state.workdir;
    if (own != nullptr) own->workdir = state.workdir;
    Action action = NewAction(line, state);
    action.canonical = {"WORKDIR", state.workdir};
    state.actions.push_back(std::move(action));
  }

  void ApplyLabel(const Instruction& line, BlockState& state, Changes* own) {
    for (const auto& assignment : line.assignments) {
      const auto value = Expand(*assignment.value, state);
      if (!value) continue;
      if (assignment.name.size() > kMaxLabelKey || value->size() > kMaxLabelValue) {
        Error(assignment.offset, "label exceeds the limit of 256 bytes of name, 64 KiB of value");
        continue;
      }
      state.all.labels[assignment.name] = *value;
      if (own != nullptr) own->labels[assignment.name] = *value;
    }
    if (state.all.labels.size() > kMaxLabels) {
      Error(line.offset, "more labels than the limit of 1000");
    }
  }

  void ApplyPort(const Instruction& line, BlockState& state, Changes* own) {
    for (const auto& word : line.words) {
      const auto text = Expand(word, state);
      if (!text) continue;
      if (!state.all.ports.Add(*text)) {
        Error(word.offset, core::StrCat("malformed port ", Quoted(*text),
                                        ": expected 1-65535 or a range, then /tcp or /udp"));
      } else if (own != nullptr) {
        (void)own->ports.Add(*text);  // well-formed, as above
      }
    }
  }

  void ApplyVolume(const Instruction& line, BlockState& state, Changes* own) {
    const auto add = [&](const std::string& path, size_t offset) {
      const std::string clean = "/" + CleanPath(path);
      if (!path.starts_with('/') || clean == "/" || path.size() > kMaxPathBytes) {
        return Error(offset, core::StrCat("malformed path ", Quoted(path),
                                          ": a volume's is absolute and not '/'"));
      }
      state.all.volumes.insert(clean);
      if (own != nullptr) own->volumes.insert(clean);
    };
    if (line.json) {
      for (const auto& path : *line.json) add(path, line.offset);
      return;
    }
    for (const auto& word : line.words) {
      if (const auto path = Expand(word, state)) add(*path, word.offset);
    }
  }

  static oci::Healthcheck Healthcheck(const Instruction& line) {
    oci::Healthcheck check;
    if (line.none) {
      check.test = {"NONE"};
      return check;
    }
    check.interval_ns = line.interval_ns.value_or(30 * kSecondNs);
    check.timeout_ns = line.timeout_ns.value_or(30 * kSecondNs);
    check.start_period_ns = line.start_period_ns.value_or(0);
    check.retries = line.retries.value_or(3);
    if (line.json) {
      check.test = {"CMD"};
      check.test.insert(check.test.end(), line.json->begin(), line.json->end());
    } else {
      check.test = {"CMD-SHELL", line.shell_text};
    }
    return check;
  }

  // ----- actions -----

  Action NewAction(const Instruction& line, BlockState& state) {
    if (state.variables == nullptr) {
      auto variables = std::make_shared<Variables>();
      const auto& env = state.scope.env;
      if (expander_.Spend(env.bytes(), line.offset)) {
        for (const auto& [name, value] : env.entries()) {
          variables->env.push_back(core::StrCat(name, "=", value.value_or(std::string())));
        }
        variables->arguments = state.scope.VisibleArguments();
        variables->proxies = state.scope.Proxies();
      }
      state.variables = std::move(variables);
    }
    Action action;
    action.kind = line.directive;
    action.offset = line.offset;
    action.display = line.display;
    action.variables = state.variables;
    action.workdir = state.workdir;
    action.user = state.user;
    action.shell = state.shell;
    return action;
  }

  void AddRun(const Instruction& line, BlockState& state) {
    Action action = NewAction(line, state);
    action.network = line.network;
    action.canonical = {"RUN"};
    if (!line.network.empty()) action.canonical.push_back("--network=" + line.network);
    for (const auto& option : line.mounts) {
      auto mount = PlanMount(
          option, state.workdir, [&](const Word& word) { return Expand(word, state); },
          diagnostics_);
      if (!mount) continue;
      if (option.from) mount->from = FindBlock(file_, *option.from);
      const bool taken =
          std::any_of(action.mounts.begin(), action.mounts.end(), [&](const StepMount& other) {
            return !mount->target.empty() && other.target == mount->target;
          });
      if (taken) {
        Error(option.offset, core::StrCat("two mounts on ", Quoted(mount->target)));
        continue;
      }
      action.mounts.push_back(std::move(*mount));
    }
    // Parents first, and one key whatever the order in which they are written.
    std::sort(action.mounts.begin(), action.mounts.end(),
              [](const StepMount& a, const StepMount& b) {
                return std::tie(a.target, a.canonical) < std::tie(b.target, b.canonical);
              });
    for (const auto& mount : action.mounts) action.canonical.push_back(mount.canonical);
    if (line.json) {
      action.argv = *line.json;
      action.canonical.push_back("exec");
      action.canonical.insert(action.canonical.end(), line.json->begin(), line.json->end());
    } else if (line.script_file) {
      action.script = line.shell_text;
      action.canonical.insert(action.canonical.end(), {"script", line.shell_text});
    } else {
      action.argv = state.shell;
      action.argv.push_back(line.shell_text);
      action.canonical.insert(action.canonical.end(), {"shell", line.shell_text});
    }
    state.actions.push_back(std::move(action));
  }

  void AddAutoDeps(const Instruction& line, BlockState& state) {
    Action action = NewAction(line, state);
    action.prod = line.prod;
    action.canonical = {"AUTO-DEPS"};
    if (line.prod) action.canonical.emplace_back("--prod");
    state.actions.push_back(std::move(action));
  }

  void AddPkg(const Instruction& line, BlockState& state) {
    Action action = NewAction(line, state);
    action.canonical = {"PKG"};
    for (const auto& word : line.words) {
      const auto text = Expand(word, state);
      if (!text) continue;
      const size_t at = text->find('@');
      Package package{text->substr(0, at)};
      if (at != std::string::npos) package.version = text->substr(at + 1);
      const bool well_formed = IsPackageText(package.name) &&
                               (at == std::string::npos || IsPackageText(package.version));
      if (!well_formed) {
        Error(word.offset,
              core::StrCat("malformed package ", Quoted(*text), ": expected NAME or NAME@VERSION"));
        continue;
      }
      action.canonical.push_back(*text);
      action.packages.push_back(std::move(package));
    }
    state.actions.push_back(std::move(action));
  }

  void AddCopy(const Instruction& line, BlockState& state) {
    Action action = NewAction(line, state);
    if (line.from) action.from = FindBlock(file_, line.from->name);
    if (line.chmod) {
      const auto text = Expand(*line.chmod, state);
      if (text) action.chmod = ParseMode(*text);
      if (text && !action.chmod) {
        Error(line.chmod->offset, core::StrCat("malformed octal mode ", Quoted(*text)));
      }
    }
    if (line.chown) {
      const auto text = Expand(*line.chown, state);
      if (text && !IsValidUser(*text)) {
        Error(line.chown->offset, core::StrCat("malformed user ", Quoted(*text)));
      }
      action.chown = text.value_or(std::string());
    }
    if (!AddCopyPaths(line, state, action)) return;
    action.canonical = {"COPY"};
    if (line.chmod && action.chmod)
      action.canonical.push_back(core::StrCat("--chmod=", *action.chmod));
    if (!action.chown.empty()) action.canonical.push_back("--chown=" + action.chown);
    // Blocks count by content, not by name.
    action.canonical.push_back(line.from ? "from a block" : "from the context");
    action.canonical.insert(action.canonical.end(), action.sources.begin(), action.sources.end());
    action.canonical.push_back(action.destination);
    action.canonical.push_back(action.into_directory ? "directory" : "name");
    state.actions.push_back(std::move(action));
  }

  bool AddCopyPaths(const Instruction& line, const BlockState& state, Action& action) {
    std::vector<std::pair<std::string, size_t>> paths;
    if (line.json) {
      for (const auto& path : *line.json) paths.emplace_back(path, line.offset);
    }
    for (const auto& word : line.words) {
      const auto path = Expand(word, state);
      if (!path) return false;
      paths.emplace_back(*path, word.offset);
    }
    for (const auto& [path, offset] : paths) {
      const bool bad =
          path.empty() || path.size() > kMaxPathBytes || path.find('\0') != std::string::npos;
      if (!bad) continue;
      Error(offset, core::StrCat("malformed path ", Quoted(path)));
      return false;
    }
    for (size_t i = 0; i + 1 < paths.size(); ++i) {
      auto source = CleanPathInside(paths[i].first);
      if (!source) {
        Error(paths[i].second, core::StrCat("path ", Quoted(paths[i].first), " leads out of the ",
                                            line.from ? "block's root" : "context"));
        return false;
      }
      action.sources.push_back(std::move(*source));
    }
    const std::string& destination = paths.back().first;
    action.destination = ResolvePath(state.workdir, destination);
    action.into_directory = destination.ends_with('/') || destination == "." ||
                            destination == ".." || destination.ends_with("/.") ||
                            destination.ends_with("/..");
    return true;
  }

  const File& file_;
  const Graph& graph_;
  const Arguments& arguments_;
  const BaseConfigs& bases_;
  Diagnostics& diagnostics_;
  Expander expander_;
  Plan plan_;
  std::map<int, Column> columns_;
  std::vector<BlockState> states_;
};

// Arguments of the request that nothing asks for.
void WarnOfUnusedArguments(const File& file, const Arguments& arguments, Diagnostics& diagnostics) {
  std::set<std::string_view> declared;
  const auto collect = [&](const Instruction& line) {
    if (line.directive != Directive::kArg) return;
    for (const auto& assignment : line.assignments) declared.insert(assignment.name);
  };
  for (const auto& top : file.top) collect(top.instruction);
  for (const auto& block : file.blocks) {
    for (const auto& line : block.instructions) collect(line);
  }
  for (const auto& [name, value] : arguments.given) {
    if (declared.contains(name) || IsPredefinedArgument(name)) continue;
    diagnostics.Warning(0, core::StrCat("no ARG declares the build argument ", Quoted(name)));
  }
}

}  // namespace

std::string NetworkOf(const Action& action, const std::string& requested) {
  // It narrows what the request permits, and never widens it.
  if (action.network == "none" || requested == "none") return "none";
  if (action.network == "bridge") return "bridge";
  return requested;
}

Plan MakePlan(const File& file, const Graph& graph, const Arguments& arguments,
              const BaseConfigs& bases, Diagnostics& diagnostics) {
  WarnOfUnusedArguments(file, arguments, diagnostics);
  return Planner(file, graph, arguments, bases, diagnostics).Make();
}

}  // namespace minibox::build
