// SPDX-License-Identifier: Apache-2.0
#include "build/step_mounts.h"

#include <fcntl.h>

#include <algorithm>
#include <utility>

#include "build/copy.h"
#include "build/glob.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::build {
namespace {

store::CacheSharing SharingOf(const StepMount& mount) {
  if (mount.sharing == "private") return store::CacheSharing::kPrivate;
  if (mount.sharing == "locked") return store::CacheSharing::kLocked;
  return store::CacheSharing::kShared;
}

StatusOr<std::shared_ptr<const SourceTree>> TreeOf(BuildState& state, const StepMount& mount) {
  if (mount.from >= 0) return state.RootOf(mount.from);
  // Not owned: the state outlives every step.
  return std::shared_ptr<const SourceTree>(std::shared_ptr<const SourceTree>(), &state.context);
}

// A copy: what the step sees is what the key says, whatever happens to the context meanwhile,
// and what it writes is gone afterwards.
StatusOr<core::Fd> CopyBind(BuildState& state, const StepMount& mount, const CopyPlan& plan,
                            const core::RootDir& dir, const std::string& name) {
  MBX_RETURN_IF_ERROR(dir.MakeDir(name, 0700));
  MBX_ASSIGN_OR_RETURN(const core::RootDir root, dir.OpenDir(name));
  MBX_ASSIGN_OR_RETURN(const auto tree, TreeOf(state, mount));
  const CopyTarget target{
      .destination = "/content", .keep_owner = mount.from >= 0, .epoch = state.settings.epoch};
  MBX_RETURN_IF_ERROR(ApplyCopy(*tree, plan, target, root, state.stop));
  return root.OpenNoFollow("content", O_PATH);
}

}  // namespace

std::string LiteralPattern(const std::string& path) {
  if (!IsGlob(path)) return path;
  std::string escaped;
  for (const char c : path) {
    if (std::string_view("*?[\\").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c;
  }
  return escaped;
}

StatusOr<std::vector<CopyPlan>> PlanBinds(BuildState& state, const Action& action) {
  std::vector<CopyPlan> plans;
  for (const auto& mount : action.mounts) {
    if (mount.type != MountType::kBind) continue;
    MBX_ASSIGN_OR_RETURN(const auto tree, TreeOf(state, mount));
    FileDigests* digests = mount.from < 0 ? &state.parts.digests : nullptr;
    MBX_ASSIGN_OR_RETURN(CopyPlan plan, PlanCopy(*tree, {LiteralPattern(mount.source)},
                                                 std::nullopt, digests, state.stop));
    plans.push_back(std::move(plan));
  }
  return plans;
}

StatusOr<StepMounts> StepMounts::Prepare(BuildState& state, const Action& action,
                                         const std::vector<CopyPlan>& binds,
                                         const store::OperationDir& operation) {
  StepMounts out;
  // Caches are locked in one order, so that no two steps wait for each other.
  std::vector<const StepMount*> caches;
  for (const auto& mount : action.mounts) {
    if (mount.type == MountType::kCache) caches.push_back(&mount);
  }
  std::stable_sort(caches.begin(), caches.end(),
                   [](const StepMount* a, const StepMount* b) { return a->id < b->id; });
  const store::CacheMounts store(state.parts.store.root);
  std::map<std::string, int> opened;  // id -> index: one directory however often it is mounted
  for (const StepMount* mount : caches) {
    if (opened.contains(mount->id)) continue;
    MBX_ASSIGN_OR_RETURN(store::CacheMount cache, store.Open({.id = mount->id,
                                                              .sharing = SharingOf(*mount),
                                                              .mode = mount->mode,
                                                              .uid = mount->uid,
                                                              .gid = mount->gid},
                                                             state.stop));
    opened.emplace(mount->id, static_cast<int>(out.caches_.size()));
    out.caches_.push_back(std::move(cache));
  }
  size_t next_bind = 0;
  for (const auto& mount : action.mounts) {
    Prepared prepared;
    prepared.point.target = mount.target;
    switch (mount.type) {
      case MountType::kTmpfs:
        prepared.point.kind = StepMountPoint::Kind::kTmpfs;
        prepared.point.bytes = mount.bytes;
        break;
      case MountType::kCache:
        prepared.point.writable = true;
        prepared.point.source = out.caches_[static_cast<size_t>(opened.at(mount.id))].dir.fd();
        break;
      case MountType::kBind: {
        const std::string name = core::StrCat("bind-", next_bind);
        MBX_ASSIGN_OR_RETURN(prepared.source,
                             CopyBind(state, mount, binds[next_bind++], operation.dir(), name));
        prepared.point.source = prepared.source.get();
        prepared.point.writable = mount.writable;
        break;
      }
      case MountType::kSecret: {
        const auto secret = state.options.secrets.find(mount.id);
        if (secret == state.options.secrets.end()) {
          if (!mount.required) continue;
          return core::FailedPrecondition(
              "", core::StrCat("the build was given no secret '", mount.id, "'"));
        }
        if (!mount.env.empty()) out.env_.push_back(core::StrCat(mount.env, "=", secret->second));
        if (mount.target.empty()) continue;
        prepared.point.kind = StepMountPoint::Kind::kFile;
        prepared.point.content = secret->second;
        prepared.point.mode = mount.mode;
        prepared.point.uid = mount.uid;
        prepared.point.gid = mount.gid;
        break;
      }
    }
    out.mounts_.push_back(std::move(prepared));
  }
  return out;
}

std::vector<StepMountPoint> StepMounts::points() const {
  std::vector<StepMountPoint> points;
  for (const auto& mount : mounts_) points.push_back(mount.point);
  return points;
}

}  // namespace minibox::build
