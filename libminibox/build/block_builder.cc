// SPDX-License-Identifier: Apache-2.0
#include "build/block_builder.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "build/auto_deps.h"
#include "build/copy.h"
#include "build/limits.h"
#include "build/output_lines.h"
#include "build/owners.h"
#include "build/packages.h"
#include "build/resolve_links.h"
#include "build/step_mounts.h"
#include "build/tidy.h"
#include "build/workdir.h"
#include "core/errors.h"
#include "core/failpoint.h"
#include "core/id.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "store/differences.h"

namespace minibox::build {
namespace {

constexpr std::string_view kDefaultPath =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr size_t kShownInstruction = 200;
constexpr size_t kShortKey = 12;
constexpr int kKeyDigits = 64;
// Differences over one another before everything is copied again, and layers under them.
constexpr size_t kMaxDifferences = 8;
constexpr size_t kMaxStackOfDifference = kMaxStack / 2;

bool Has(const std::vector<std::string>& env, std::string_view name) {
  return std::any_of(env.begin(), env.end(), [name](std::string_view entry) {
    return entry.substr(0, entry.find('=')) == name;
  });
}

std::string ValueOf(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string_view entry : env) {
    if (entry.substr(0, entry.find('=')) == name) return std::string(entry.substr(name.size() + 1));
  }
  return {};
}

// The environment of a step but for HOME and USER (spec §8.5).
std::vector<std::string> StepEnv(const Variables& variables, int64_t epoch) {
  std::vector<std::string> env = variables.env;
  for (const auto* more : {&variables.arguments, &variables.proxies}) {
    for (const auto& [name, value] : *more) env.push_back(core::StrCat(name, "=", value));
  }
  if (!Has(env, "PATH")) env.emplace_back(kDefaultPath);
  if (!Has(env, "HOSTNAME")) env.emplace_back("HOSTNAME=minibox-build");
  if (epoch != 0 && !Has(env, "SOURCE_DATE_EPOCH")) {
    env.push_back(core::StrCat("SOURCE_DATE_EPOCH=", epoch));
  }
  return env;
}

// Where set-up makes mount points if nothing of that name is there, in the root `below`.
std::map<std::string, mode_t, std::less<>> MountPointsIn(const core::RootDir& below,
                                                         const std::vector<StepMount>& mounts) {
  std::map<std::string, mode_t, std::less<>> made;
  constexpr mode_t kDirectoryMode = 0755;
  const auto add = [&](const char* path, mode_t mode) {
    auto resolved = ResolveLinks(below, path, {.may_be_missing = true});
    if (!resolved.ok()) return;
    made.emplace(*resolved, mode);
    for (size_t slash = resolved->find('/'); slash != std::string::npos;
         slash = resolved->find('/', slash + 1)) {
      made.emplace(resolved->substr(0, slash), kDirectoryMode);
    }
  };
  for (const auto& point : SharedDirs::MountPoints()) add(point.path, point.mode);
  add(kScriptPath, 0);
  for (const auto& mount : mounts) {
    if (!mount.target.empty()) add(mount.target.c_str() + 1, kDirectoryMode);
  }
  return made;
}

}  // namespace

BlockBuilder::BlockBuilder(BuildState& state, int index)
    : state_(state),
      index_(static_cast<size_t>(index)),
      linear_(state.file.format == File::Format::kLinear),
      prefix_(linear_ ? "[legacy] " : core::StrCat("[", state.file.blocks[index_].name, "] ")),
      plan_(state.plan.blocks[index_]),
      stack_(state.StackBelow(index_)) {}

void BlockBuilder::Log(std::string_view text) const {
  state_.log.Write(prefix_ + std::string(text));
}

Status BlockBuilder::Build() {
  const auto begin = std::chrono::steady_clock::now();
  if (!linear_) {
    std::vector<std::string> needs;
    for (const int on : state_.graph.nodes[index_].needs) {
      needs.push_back(state_.file.blocks[static_cast<size_t>(on)].name);
    }
    state_.waves->BlockStarts(static_cast<int>(index_),
                              core::StrCat(prefix_, "START needs=", core::StrJoin(needs, ","),
                                           " workdir=", plan_.start_workdir));
  }
  const Status status = BuildActions();
  if (!status.ok()) {
    // A block that only stops because another one has failed has not failed itself.
    const bool own = status.code() != StatusCode::kCancelled || !state_.HasFailed();
    if (own) (void)state_.Fail(status);
    if (own && !linear_) Log(core::StrCat("FAILED (", Since(begin), ")"));
    return status;
  }
  outcome_.cached = all_cached_;
  state_.outcomes[index_] = outcome_;
  if (!linear_) {
    Log(core::StrCat(all_cached_ ? "CACHED (" : "DONE (", Since(begin), ")"));
    state_.waves->BlockEnds(static_cast<int>(index_), all_cached_, outcome_.cpu_usec);
  }
  return {};
}

Status BlockBuilder::BuildActions() {
  std::vector<std::string> needed;
  for (const int on : state_.graph.nodes[index_].stack) {
    needed.push_back(state_.outcomes[static_cast<size_t>(on)].key);
  }
  outcome_.key = BlockStartKey(state_.BaseOf(index_).key, needed);
  for (size_t i = 0; i < plan_.actions.size(); ++i) {
    if (state_.stop.stop_requested()) return core::Cancelled("the build");
    if (state_.HasFailed()) return core::Cancelled("the block");
    const Status status = BuildAction(i, plan_.actions[i]);
    if (!status.ok()) return WithPlace(plan_.actions[i], status);
  }
  return {};
}

Status BlockBuilder::BuildAction(size_t number, const Action& action) {
  ActionInput input;
  CopyPlan& copy = input.copy;
  if (action.kind == Directive::kCopy) {
    if (action.from < 0) {
      MBX_ASSIGN_OR_RETURN(copy, PlanCopy(state_.context, action.sources, action.chmod,
                                          &state_.parts.digests, state_.stop));
    } else {
      MBX_ASSIGN_OR_RETURN(const auto root, state_.RootOf(action.from));
      MBX_ASSIGN_OR_RETURN(copy,
                           PlanCopy(*root, action.sources, action.chmod, nullptr, state_.stop));
    }
  }
  MBX_ASSIGN_OR_RETURN(input.binds, PlanBinds(state_, action));
  std::vector<KeyEntry>& entries = input.entries;
  entries = copy.Key();
  for (const auto& bind : input.binds) {
    for (auto& entry : bind.Key(/*with_owner=*/true)) entries.push_back(std::move(entry));
  }
  const std::string network = NetworkOf(action, state_.options.network);
  const std::string key = ActionKey(outcome_.key, action, network, state_.settings, entries);
  if (action.kind == Directive::kCopy && action.from < 0) {
    input.shape = ActionKey(outcome_.key, action, network, state_.settings, {});
  }
  MBX_RETURN_IF_ERROR(state_.lease.AddSnapshot(key));
  MBX_ASSIGN_OR_RETURN(auto record, FindSnapshot(key));
  if (record) {
    AnnounceAction(number, action, true);
  } else {
    // Whoever else wants it, in any process, waits here for the one that makes it.
    MBX_ASSIGN_OR_RETURN(const core::FileLock lock, state_.parts.store.root->LockKey(
                                                        core::StrCat("build/", key), state_.stop));
    MBX_ASSIGN_OR_RETURN(record, FindSnapshot(key));
    AnnounceAction(number, action, record.has_value());
    if (!record) {
      if (state_.HasFailed()) return core::Cancelled("the block");
      MBX_ASSIGN_OR_RETURN(record, Execute(action, key, input));
    }
  }
  outcome_.key = key;
  outcome_.steps.push_back(key);
  outcome_.step_empty.push_back(record->empty);
  std::vector<std::string>& trees = outcome_.step_trees.emplace_back();
  if (record->empty) return {};
  MBX_ASSIGN_OR_RETURN(trees, store::TreesOf(state_.parts.store.snapshots, key));
  for (const auto& tree : trees) {
    const std::string directory = store::Snapshots::Path(tree);
    outcome_.directories.push_back(directory);
    stack_.Push(directory);
  }
  if (!input.shape.empty()) state_.parts.copies.Remember(input.shape, key, std::move(entries));
  return {};
}

bool BlockBuilder::MayReuse(const std::string& key) const {
  if (state_.options.use_cache) return true;
  absl::MutexLock lock(&state_.mutex);
  return state_.made.contains(key);
}

StatusOr<std::optional<store::SnapshotRecord>> BlockBuilder::FindSnapshot(const std::string& key) {
  if (!MayReuse(key)) return std::optional<store::SnapshotRecord>();
  const bool was_there = state_.parts.store.root->dir().Exists(store::Snapshots::Path(key));
  MBX_ASSIGN_OR_RETURN(auto record, state_.parts.store.snapshots.Find(key));
  if (!record && was_there) {
    Log(core::StrCat("Detected corrupted cache for ", key.substr(0, kShortKey), ", rebuilding..."));
  }
  return record;
}

void BlockBuilder::AnnounceAction(size_t number, const Action& action, bool cached) {
  std::vector<std::string> lines;
  if (linear_) {
    lines = {core::StrCat("[legacy] Step ", number + 1, ": ", action.display),
             cached ? "[legacy]  ---> Using cache" : "[legacy]  ---> Building..."};
  } else {
    lines = {core::StrCat(prefix_, "   ---> ", number + 1, "/", plan_.actions.size(), " ",
                          action.display, cached ? " (cached)" : "")};
  }
  if (cached && all_cached_ && !linear_) {
    // Of a block that turns out to be cached as a whole nothing is said.
    held_lines_.push_back(lines[0]);
    return;
  }
  if (!cached) all_cached_ = false;
  for (auto& line : held_lines_) state_.log.Write(std::move(line));
  held_lines_.clear();
  for (auto& line : lines) state_.log.Write(std::move(line));
}

StatusOr<std::optional<BlockBuilder::Difference>> BlockBuilder::FindDifference(
    const Action& action, const std::string& key, const ActionInput& input) {
  const StoreParts& store = state_.parts.store;
  const std::optional<Difference> none;
  if (input.shape.empty() || !state_.options.use_cache) return none;
  if (stack_.directories().size() > kMaxStackOfDifference) return none;
  const auto last = state_.parts.copies.Find(input.shape);
  if (last == nullptr || last->key == key) return none;
  MBX_RETURN_IF_ERROR(state_.lease.AddSnapshot(last->key));
  // It may be gone, which costs nothing but time. The inode first: if the snapshot is made again
  // after that, the difference to what was there is no hit.
  const auto inode = store::InodeOf(*store.root, last->key);
  const auto trees = store::TreesOf(store.snapshots, last->key);
  if (!inode.ok() || !trees.ok() || trees->size() > kMaxDifferences) return none;
  MBX_ASSIGN_OR_RETURN(const core::RootDir below, OpenView(*store.root, stack_, state_.shared));
  auto copy = PlanDifference(input.copy, input.entries, last->entries, action.destination, below);
  if (!copy) return none;
  return std::optional(Difference{*trees, *inode, *std::move(copy)});
}

StatusOr<store::SnapshotRecord> BlockBuilder::Execute(const Action& action, const std::string& key,
                                                      const ActionInput& input) {
  MBX_ASSIGN_OR_RETURN(const auto difference, FindDifference(action, key, input));
  if (difference) {
    MBX_ASSIGN_OR_RETURN(const auto record, Execute(action, key, input, difference));
    // An empty one would say that nothing was copied at all.
    if (!record.empty) return record;
    MBX_RETURN_IF_ERROR(state_.parts.store.snapshots.Remove(key));
  }
  return Execute(action, key, input, std::nullopt);
}

StatusOr<store::SnapshotRecord> BlockBuilder::Execute(const Action& action, const std::string& key,
                                                      const ActionInput& input,
                                                      const std::optional<Difference>& difference) {
  const StoreParts& store = state_.parts.store;
  LayerStack stack = stack_;
  if (difference) {
    for (const auto& tree : difference->trees) stack.Push(store::Snapshots::Path(tree));
  }
  MBX_ASSIGN_OR_RETURN(const core::RootDir below, OpenView(*store.root, stack, state_.shared));
  MBX_ASSIGN_OR_RETURN(const StepDir dir, StepDir::Create(*store.root, below));
  TidyOptions tidy{.epoch = state_.settings.epoch};
  const bool writes = action.kind == Directive::kCopy || action.kind == Directive::kWorkdir;
  if (writes) {
    MBX_RETURN_IF_ERROR(Write(action, difference ? difference->copy : input.copy, dir, stack));
  } else {
    tidy.made = MountPointsIn(below, action.mounts);
    const Status ran = RunAction(action, input, below, dir);
    if (!ran.ok()) {
      // Of what went wrong the first thing is told.
      if (failed_) (void)KeepFailed(action, *failed_, dir, below, tidy);
      return ran;
    }
  }
  MBX_ASSIGN_OR_RETURN(const core::RootDir upper, dir.OpenUpper());
  MBX_ASSIGN_OR_RETURN(const Tidied tidied, Tidy(upper, below, tidy, state_.stop));

  store::SnapshotRecord record;
  record.parent = outcome_.steps.empty() ? std::string() : outcome_.steps.back();
  if (difference) {
    record.parent = difference->trees.back();
    record.results[store::kOverResult] = difference->inode;
  }
  if (const auto& base = state_.BaseOf(index_).manifest) record.base = base->digest.ToString();
  record.instruction = action.display;
  record.empty = tidied.empty;
  record.size_bytes = tidied.bytes;
  record.created = std::chrono::duration_cast<std::chrono::seconds>(
                       std::chrono::system_clock::now().time_since_epoch())
                       .count();
  MBX_FAILPOINT("build.publish");
  if (!state_.options.use_cache) MBX_RETURN_IF_ERROR(store.snapshots.Remove(key));
  MBX_RETURN_IF_ERROR(store.snapshots.Publish(key, dir.operation(), StepDir::kUpper, record));
  absl::MutexLock lock(&state_.mutex);
  state_.made.insert(key);
  return record;
}

Status BlockBuilder::Write(const Action& action, const CopyPlan& copy, const StepDir& dir,
                           const LayerStack& stack) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir view,
                       OpenWritableView(*state_.parts.store.root, stack, state_.shared, dir));
  if (action.kind == Directive::kWorkdir) {
    MBX_ASSIGN_OR_RETURN(const Owner owner, LookUpOwner(view, action.user));
    return MakeWorkdir(view, action.workdir, owner);
  }
  for (const auto& note : copy.notes) Log("warning: " + note);
  MBX_ASSIGN_OR_RETURN(const Owner owner, LookUpOwner(view, action.chown));
  const CopyTarget target{.destination = action.destination,
                          .into_directory = action.into_directory,
                          .owner = owner,
                          .epoch = state_.settings.epoch};
  if (action.from < 0) return ApplyCopy(state_.context, copy, target, view, state_.stop);
  for (const auto& source : action.sources) {
    Log(core::StrCat("copy /", core::EscapeControl(source), " -> ",
                     core::EscapeControl(action.destination)));
  }
  MBX_ASSIGN_OR_RETURN(const auto root, state_.RootOf(action.from));
  return ApplyCopy(*root, copy, target, view, state_.stop);
}

StepRequest BlockBuilder::Request(const Action& action, const StepDir& dir) const {
  StepRequest request;
  request.stack = &stack_;
  request.shared = &state_.shared;
  request.dir = &dir;
  request.argv = action.argv;
  request.script = action.script;
  request.env = StepEnv(*action.variables, state_.settings.epoch);
  request.workdir = action.workdir;
  request.user = action.user;
  request.network = NetworkOf(action, state_.options.network);
  request.resources = state_.options.step_resources;
  return request;
}

Status BlockBuilder::RunAction(const Action& action, const ActionInput& input,
                               const core::RootDir& below, const StepDir& dir) {
  if (action.kind == Directive::kAutoDeps) return RunAutoDeps(action, below, dir);
  StepRequest request = Request(action, dir);
  if (action.kind == Directive::kPkg) {
    MBX_ASSIGN_OR_RETURN(request.argv, PlanInstallation(below, action.packages));
    request.user.clear();
    return RunCommand(request);
  }
  MBX_ASSIGN_OR_RETURN(const StepMounts mounts,
                       StepMounts::Prepare(state_, action, input.binds, dir.operation()));
  request.mounts = mounts.points();
  request.env.insert(request.env.end(), mounts.env().begin(), mounts.env().end());
  return RunCommand(request);
}

Status BlockBuilder::RunAutoDeps(const Action& action, const core::RootDir& below,
                                 const StepDir& dir) {
  constexpr std::string_view kSays = "   ---> auto-deps: ";
  StepRequest request = Request(action, dir);
  const auto installations =
      DetectDependencies(below, action.workdir, ValueOf(request.env, "PATH"), action.prod);
  if (!installations.ok()) return installations.status();
  if (installations->empty()) Log(core::StrCat(kSays, "nothing detected"));
  for (const auto& installation : *installations) {
    Log(core::StrCat(kSays, "detected ", installation.file, " → running ", installation.label));
    StepRequest one = request;
    one.argv = installation.argv;
    one.env.insert(one.env.end(), installation.env.begin(), installation.env.end());
    MBX_RETURN_IF_ERROR(RunCommand(one).WithContext(installation.label));
  }
  return {};
}

Status BlockBuilder::RunCommand(const StepRequest& request) {
  Silence::Step silence(state_.silence, prefix_);
  OutputLines lines([&](std::string_view line) {
    silence.Touch();
    if (HasOwnPrefix(line)) {
      state_.log.Write(std::string(line));
    } else {
      Log(line);
    }
  });
  const auto result = RunStep(
      state_.parts.steps, request, [&lines](std::string_view bytes) { lines.Add(bytes); },
      state_.stop);
  lines.Finish();
  if (!result.ok()) return result.status();
  outcome_.cpu_usec += result->cpu_usec;
  const std::string failure = DescribeExit(result->exit);
  if (failure.empty()) return {};
  if (!state_.options.keep_failed.empty()) failed_ = request;
  return core::FailedPrecondition("", failure);
}

Status BlockBuilder::KeepFailed(const Action& action, const StepRequest& request,
                                const StepDir& dir, const core::RootDir& below,
                                const TidyOptions& tidy) {
  MBX_ASSIGN_OR_RETURN(const core::RootDir upper, dir.OpenUpper());
  MBX_ASSIGN_OR_RETURN(const Tidied tidied, Tidy(upper, below, tidy, state_.stop));
  FailedStep failed{.block = static_cast<int>(index_), .steps = outcome_.steps};
  failed.step_empty = outcome_.step_empty;
  failed.step_trees = outcome_.step_trees;
  failed.key = core::RandomHex(kKeyDigits);
  MBX_RETURN_IF_ERROR(state_.lease.AddSnapshot(failed.key));
  MBX_RETURN_IF_ERROR(
      state_.parts.store.snapshots.Publish(failed.key, dir.operation(), StepDir::kUpper,
                                           {.instruction = "failed: " + action.display,
                                            .empty = tidied.empty,
                                            .size_bytes = tidied.bytes}));
  failed.empty = tidied.empty;
  failed.argv = request.argv;
  // As the step saw it, but for secrets and proxies.
  failed.env = action.variables->env;
  for (const auto& [name, value] : action.variables->arguments) {
    failed.env.push_back(core::StrCat(name, "=", value));
  }
  failed.workdir = request.workdir;
  failed.user = request.user;
  state_.Keep(std::move(failed));
  return {};
}

Status BlockBuilder::WithPlace(const Action& action, const Status& status) const {
  std::string shown = action.display;
  if (shown.size() > kShownInstruction) {
    size_t cut = kShownInstruction;
    while ((static_cast<unsigned char>(shown[cut]) & 0xC0) == 0x80) --cut;
    shown = shown.substr(0, cut) + "…";
  }
  const std::string block =
      linear_ ? "" : core::StrCat(" (block '", state_.file.blocks[index_].name, "')");
  return status.WithContext(
      core::StrCat("line ", state_.lines.At(action.offset), block, ": ", shown));
}

}  // namespace minibox::build
