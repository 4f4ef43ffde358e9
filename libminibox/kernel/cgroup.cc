// SPDX-License-Identifier: Apache-2.0
#include "kernel/cgroup.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "core/errors.h"
#include "core/root_dir.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "kernel/cgroup_control.h"
#include "kernel/cgroup_dialect.h"
#include "kernel/cgroup_tree.h"
#include "kernel/features.h"
#include "kernel/mount.h"
#include "kernel/syscalls.h"

namespace minibox::kernel {
namespace {

constexpr std::array<std::string_view, 5> kResources = {"memory", "cpu", "cpuset", "io", "pids"};
// Of v1. Hierarchies without any of them (systemd's named one) are left alone.
constexpr std::array<std::string_view, 14> kV1Controllers = {
    "cpu",  "cpuacct", "cpuset",   "memory",  "devices", "freezer", "blkio",
    "pids", "net_cls", "net_prio", "hugetlb", "rdma",    "misc",    "perf_event"};

bool Contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

// A hierarchy that groups are made in.
struct Hierarchy {
  CgroupTree tree;
  const CgroupDialect* dialect;
  bool v2;
  std::vector<std::string> controllers;
};
using Hierarchies = std::vector<Hierarchy>;

// Controllers that limits of `limits` need, by resource.
std::vector<std::string_view> NeededResources(const CgroupLimits& limits) {
  // Usage of memory and number of processes are reported whatever the limits.
  std::vector<std::string_view> needed = {"memory", "pids"};
  if (limits.cpu_quota_us) needed.push_back("cpu");
  if (!limits.cpuset.empty()) needed.push_back("cpuset");
  if (limits.io_weight) needed.push_back("io");
  return needed;
}

class Group final : public Cgroup {
 public:
  Group(std::shared_ptr<const Hierarchies> hierarchies, std::string id)
      : hierarchies_(std::move(hierarchies)), id_(std::move(id)), path_(core::StrCat("/", id_)) {
    parts_.resize(hierarchies_->size());
    if (!hierarchies_->empty()) path_ = hierarchies_->front().tree.PathOf(id_);
  }

  Status Make(const CgroupLimits& limits) {
    MBX_RETURN_IF_ERROR(CheckLimits(limits));
    for (size_t i = 0; i < parts_.size(); ++i) {
      auto dir = (*hierarchies_)[i].tree.Make(id_, Descend(i, limits));
      if (dir.ok()) {
        parts_[i].dir = std::move(*dir);
        continue;
      }
      if (dir.status().code() == StatusCode::kAlreadyExists) {
        RemoveMade();  // but not what is somebody else's
        return dir.status();
      }
      // A host may keep single hierarchies from us. Matters if a limit needs it.
      parts_[i].why = dir.status().message();
    }
    const Status applied = Apply(limits, true);
    if (!applied.ok()) RemoveMade();
    return applied;
  }

  Status OpenExisting() {
    for (size_t i = 0; i < parts_.size(); ++i) OpenPart(i);
    return CheckExists();
  }

  // From here on directories are opened when they are looked at.
  void OpenLater() {
    for (Part& part : parts_) part.later = true;
  }

  // Whether any of the directories that were looked at was there.
  Status CheckExists() const {
    const bool found =
        std::any_of(parts_.begin(), parts_.end(), [](const Part& p) { return p.dir.valid(); });
    return found ? Status() : core::NotFound("", core::StrCat("no cgroup ", path_));
  }

  std::vector<JoinDir> JoinDirs() const override {
    std::vector<JoinDir> dirs;
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i].dir.valid()) dirs.push_back({parts_[i].dir.get(), (*hierarchies_)[i].v2});
    }
    return dirs;
  }

  const std::string& path() const override { return path_; }
  const std::vector<std::string>& warnings() const override { return warnings_; }

  Status Apply(const CgroupLimits& limits) override {
    MBX_RETURN_IF_ERROR(CheckLimits(limits));
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (!parts_[i].dir.valid() || !(*hierarchies_)[i].v2) continue;
      parts_[i].refused.clear();
      MBX_RETURN_IF_ERROR((*hierarchies_)[i].tree.Open(id_, Descend(i, limits)).status());
    }
    return Apply(limits, false);
  }

  StatusOr<CgroupUsage> Usage() const override {
    CgroupUsage usage;
    if (const auto place = Find("memory"); place.dir >= 0) {
      place.dialect->ReadMemory(place.dir, usage);
    } else {
      usage.unavailable.push_back("memory");
    }
    if (const auto place = Find("pids"); place.dir >= 0) {
      usage.pids = ReadNumber(place.dir, "pids.current");
      usage.pids_limit = ReadNumber(place.dir, "pids.max");
    } else {
      usage.unavailable.push_back("pids");
    }
    if (const auto place = CpuPlace(); place.dir >= 0) {
      usage.cpu_usec = place.dialect->ReadCpuUsec(place.dir);
    } else {
      usage.unavailable.push_back("cpu");
    }
    auto throttling = Find("cpu");
    if (throttling.dir < 0) throttling = FirstPart(true);
    if (throttling.dir >= 0) {
      throttling.dialect->ReadThrottling(throttling.dir, usage);
    } else {
      usage.unavailable.push_back("cpu_throttled");
    }
    if (const auto place = Find("io"); place.dir >= 0) {
      place.dialect->ReadIo(place.dir, usage);
    } else {
      usage.unavailable.push_back("io");
    }
    return usage;
  }

  // Of Usage() only cpu_usec.
  uint64_t CpuUsec() const {
    const Place place = CpuPlace();
    return place.dir < 0 ? 0 : place.dialect->ReadCpuUsec(place.dir);
  }

  CgroupLimits Limits() const override {
    CgroupLimits limits;
    if (const auto place = Find("memory"); place.dir >= 0) {
      place.dialect->ReadMemoryLimits(place.dir, limits);
    }
    if (const auto place = Find("cpu"); place.dir >= 0) {
      place.dialect->ReadCpuLimit(place.dir, limits);
    }
    if (const auto place = Find("cpuset"); place.dir >= 0) {
      if (auto cpus = ReadControl(place.dir, "cpuset.cpus"); cpus.ok()) limits.cpuset = *cpus;
    }
    if (const auto place = Find("io"); place.dir >= 0) {
      place.dialect->ReadIoWeight(place.dir, limits);
    }
    if (const auto place = Find("pids"); place.dir >= 0) {
      const uint64_t pids = ReadNumber(place.dir, "pids.max");
      if (pids != 0) limits.pids = static_cast<int64_t>(pids);
    }
    return limits;
  }

  StatusOr<std::vector<int>> Pids() const override {
    const Place place = AnyPart();
    if (place.dir < 0) return std::vector<int>();
    return ReadPids(place.dir);
  }

  Status Freeze(bool frozen) override {
    Place place = Find("freezer");
    const std::string why = place.why;
    if (place.dir < 0) place = FirstPart(true);
    if (place.dir < 0) return ControllerMissing("pause", "freezer", why);
    return place.dialect->Freeze(place.dir, frozen);
  }

  Status KillAll() override {
    Place place = FirstPart(true);
    if (place.dir < 0) place = Find("freezer");
    if (place.dir < 0) place = AnyPart();
    return place.dir < 0 ? Status() : place.dialect->KillAll(place.dir);
  }

  Status Remove() override {
    Status first;
    for (size_t i = 0; i < parts_.size(); ++i) {
      const Status removed = (*hierarchies_)[i].tree.Remove(id_);
      if (removed.ok()) {
        parts_[i].dir.reset();
      } else if (first.ok()) {
        first = removed;
      }
    }
    return first;
  }

 private:
  struct Part {
    core::Fd dir;
    std::string why;                             // there is no directory
    std::map<std::string, std::string> refused;  // controllers that could not be enabled
    bool later = false;                          // not looked for yet
  };
  struct Place {
    int dir = -1;
    const CgroupDialect* dialect = nullptr;
    std::string controller{}, why{};  // of a dir < 0
  };

  void OpenPart(size_t i) const {
    Part& part = parts_[i];
    part.later = false;
    auto dir = (*hierarchies_)[i].tree.Open(id_);
    if (dir.ok()) {
      part.dir = std::move(*dir);
    } else {
      part.why = dir.status().message();
    }
  }
  const Part& PartAt(size_t i) const {
    if (parts_[i].later) OpenPart(i);
    return parts_[i];
  }

  // After a failure that is reported; what cannot be removed either is empty.
  void RemoveMade() {
    for (size_t i = 0; i < parts_.size(); ++i) {
      if (parts_[i].dir.valid()) (void)(*hierarchies_)[i].tree.Remove(id_);
      parts_[i].dir.reset();
    }
  }

  CgroupTree::Step Descend(size_t part, const CgroupLimits& limits) {
    const Hierarchy& hierarchy = (*hierarchies_)[part];
    std::vector<std::string> wanted;
    for (const std::string_view resource : NeededResources(limits)) {
      std::string name(hierarchy.dialect->ControllerName(resource));
      if (!hierarchy.v2 || !OnV1(resource)) wanted.push_back(std::move(name));
    }
    return [this, part, &hierarchy, wanted = std::move(wanted)](int parent, int child) {
      return hierarchy.dialect->Descend(parent, child, wanted, parts_[part].refused);
    };
  }

  bool OnV1(std::string_view resource) const {
    const std::string_view name = CgroupV1().ControllerName(resource);
    return std::any_of(hierarchies_->begin(), hierarchies_->end(),
                       [&](const Hierarchy& h) { return !h.v2 && Contains(h.controllers, name); });
  }

  Place FirstPart(bool v2) const {
    for (size_t i = 0; i < parts_.size(); ++i) {
      if ((*hierarchies_)[i].v2 == v2 && PartAt(i).dir.valid()) {
        return {parts_[i].dir.get(), (*hierarchies_)[i].dialect};
      }
    }
    return {};
  }

  // v2 counts processor time whether or not the controller is enabled.
  Place CpuPlace() const {
    const Place place = Find("cpuacct");
    return place.dir >= 0 ? place : FirstPart(true);
  }

  Place AnyPart() const {
    const Place place = FirstPart(true);
    return place.dir >= 0 ? place : FirstPart(false);
  }

  // Where the controller of `resource` is to be found.
  Place Find(std::string_view resource) const {
    Place place;
    place.controller = CgroupV1().ControllerName(resource);
    place.why = "it is not mounted";
    for (size_t i = 0; i < parts_.size(); ++i) {
      const Hierarchy& hierarchy = (*hierarchies_)[i];
      const std::string name(hierarchy.dialect->ControllerName(resource));
      if (hierarchy.v2 && OnV1(resource)) continue;
      if (!hierarchy.v2 && !Contains(hierarchy.controllers, name)) continue;
      const Part& part = PartAt(i);
      place.controller = name;
      place.why = part.why;
      if (!part.dir.valid()) continue;
      if (hierarchy.v2 && !EnabledHere(part.dir.get(), name)) {
        const auto refused = part.refused.find(name);
        place.why = refused != part.refused.end() ? refused->second : "it is not enabled";
        continue;
      }
      return {part.dir.get(), hierarchy.dialect};
    }
    return place;
  }

  static bool EnabledHere(int dir, std::string_view name) {
    const auto text = ReadControl(dir, "cgroup.controllers");
    if (!text.ok()) return false;
    const auto names = core::StrSplit(*text, ' ');
    return std::find(names.begin(), names.end(), name) != names.end();
  }

  StatusOr<Place> Require(std::string_view resource, std::string_view field) const {
    Place place = Find(resource);
    if (place.dir < 0) return ControllerMissing(field, place.controller, place.why);
    return place;
  }

  Status PlanPids(int64_t limit, CgroupSettings& settings) const {
    MBX_ASSIGN_OR_RETURN(const Place place, Require("pids", "pids_limit"));
    settings.push_back({"pids_limit", "pids", place.dir, "pids.max",
                        limit < 0 ? std::string("max") : core::StrCat(limit)});
    return Status();
  }

  Status PlanIoWeight(uint16_t weight, CgroupSettings& settings) const {
    MBX_ASSIGN_OR_RETURN(const Place place, Require("io", "io_weight"));
    return place.dialect->PlanIoWeight(place.dir, weight, settings);
  }

  Status ApplyDevices(const std::vector<DeviceRule>& rules) const {
    Place place = Find("devices");
    if (place.dir >= 0) return ApplyDeviceRulesV1(place.dir, rules);
    place = FirstPart(true);
    if (place.dir >= 0) return ApplyDeviceRulesV2(place.dir, rules);
    return core::SysError("devices", "no hierarchy for it is mounted", ENODEV);
  }

  Status Plan(const CgroupLimits& limits, bool fresh, CgroupSettings& settings) const {
    if (limits.memory_bytes || limits.memory_swap_bytes) {
      MBX_ASSIGN_OR_RETURN(const Place place,
                           Require("memory", limits.memory_bytes ? "memory" : "memory_swap"));
      MBX_RETURN_IF_ERROR(place.dialect->PlanMemory(place.dir, limits, fresh, settings));
    }
    if (limits.cpu_quota_us) {
      MBX_ASSIGN_OR_RETURN(const Place place, Require("cpu", "cpu"));
      place.dialect->PlanCpu(place.dir, *limits.cpu_quota_us, settings);
    }
    if (!limits.cpuset.empty()) {
      MBX_ASSIGN_OR_RETURN(const Place place, Require("cpuset", "cpuset"));
      settings.push_back({"cpuset", "cpuset", place.dir, "cpuset.cpus", limits.cpuset,
                          CgroupSetting::ReadBack::kCpus});
    }
    if (limits.io_weight && !limits.io_weight_is_default) {
      MBX_RETURN_IF_ERROR(PlanIoWeight(*limits.io_weight, settings));
    }
    if (limits.pids && !limits.pids_is_default) {
      MBX_RETURN_IF_ERROR(PlanPids(*limits.pids, settings));
    }
    return Status();
  }

  Status Apply(const CgroupLimits& limits, bool fresh) {
    warnings_.clear();
    CgroupSettings settings;
    MBX_RETURN_IF_ERROR(Plan(limits, fresh, settings));
    MBX_RETURN_IF_ERROR(ApplySettings(settings, fresh));
    if (limits.pids && limits.pids_is_default) {
      CgroupSettings defaults;
      Status applied = PlanPids(*limits.pids, defaults);
      if (applied.ok()) applied = ApplySettings(defaults, fresh);
      if (!applied.ok()) warnings_.push_back(applied.message());
    }
    if (limits.io_weight && limits.io_weight_is_default) {
      CgroupSettings defaults;
      Status applied = PlanIoWeight(*limits.io_weight, defaults);
      if (applied.ok()) applied = ApplySettings(defaults, fresh);
      if (!applied.ok()) warnings_.push_back(applied.message());
    }
    if (!limits.devices) return Status();
    const Status filtered = ApplyDevices(*limits.devices);
    if (filtered.ok()) return Status();
    if (!limits.devices_are_default) {
      return ControllerMissing("devices", "devices", filtered.message());
    }
    warnings_.push_back(core::StrCat("the use of devices is not filtered: ", filtered.message()));
    return Status();
  }

  const std::shared_ptr<const Hierarchies> hierarchies_;
  const std::string id_;
  std::string path_;
  mutable std::vector<Part> parts_;  // one per hierarchy; opened late, see `later`
  std::vector<std::string> warnings_;
};

class Driver final : public CgroupDriver {
 public:
  Driver(std::string_view version, std::vector<std::string> controllers, Hierarchies hierarchies)
      : version_(version),
        controllers_(std::move(controllers)),
        hierarchies_(std::make_shared<const Hierarchies>(std::move(hierarchies))) {}

  std::string_view version() const override { return version_; }
  std::vector<std::string> controllers() const override { return controllers_; }

  bool filters_devices() const override {
    return std::any_of(hierarchies_->begin(), hierarchies_->end(), [](const Hierarchy& h) {
      return h.v2 ? DeviceFilterAvailable() : Contains(h.controllers, "devices");
    });
  }

  StatusOr<std::unique_ptr<Cgroup>> Create(std::string_view id,
                                           const CgroupLimits& limits) override {
    MBX_RETURN_IF_ERROR(CheckName("id", id));
    auto group = std::make_unique<Group>(hierarchies_, std::string(id));
    MBX_RETURN_IF_ERROR(group->Make(limits));
    return std::unique_ptr<Cgroup>(std::move(group));
  }

  StatusOr<std::unique_ptr<Cgroup>> Open(std::string_view id) override {
    MBX_RETURN_IF_ERROR(CheckName("id", id));
    auto group = std::make_unique<Group>(hierarchies_, std::string(id));
    MBX_RETURN_IF_ERROR(group->OpenExisting());
    return std::unique_ptr<Cgroup>(std::move(group));
  }

  StatusOr<CgroupUsage> Usage(std::string_view id) override {
    MBX_ASSIGN_OR_RETURN(const Group group, OpenLater(id));
    MBX_ASSIGN_OR_RETURN(CgroupUsage usage, group.Usage());
    MBX_RETURN_IF_ERROR(group.CheckExists());
    return usage;
  }

  StatusOr<uint64_t> CpuUsec(std::string_view id) override {
    MBX_ASSIGN_OR_RETURN(const Group group, OpenLater(id));
    const uint64_t usec = group.CpuUsec();
    MBX_RETURN_IF_ERROR(group.CheckExists());
    return usec;
  }

  StatusOr<std::vector<std::string>> List() override {
    std::set<std::string> ids;
    for (const Hierarchy& hierarchy : *hierarchies_) {
      MBX_ASSIGN_OR_RETURN(const std::vector<std::string> found, hierarchy.tree.List());
      ids.insert(found.begin(), found.end());
    }
    return std::vector<std::string>(ids.begin(), ids.end());
  }

  StatusOr<Group> OpenLater(std::string_view id) const {
    MBX_RETURN_IF_ERROR(CheckName("id", id));
    Group group(hierarchies_, std::string(id));
    group.OpenLater();
    return group;
  }

  // A single path component that no control file can be called.
  static Status CheckName(std::string_view field, std::string_view name) {
    const bool plain = !name.empty() && name[0] != '.' && name.size() <= 255 &&
                       name.find_first_of(std::string_view("/\n\0", 3)) == std::string_view::npos;
    if (plain) return Status();
    return core::InvalidArgument(
        field, core::StrCat("'", core::EscapeControl(name), "' is not a name for a cgroup"));
  }

 private:
  const std::string_view version_;
  const std::vector<std::string> controllers_;
  const std::shared_ptr<const Hierarchies> hierarchies_;
};

std::vector<std::string> KnownControllers(const std::vector<std::string_view>& names) {
  std::vector<std::string> known;
  for (const std::string_view name : names) {
    if (std::find(kV1Controllers.begin(), kV1Controllers.end(), name) != kV1Controllers.end()) {
      known.emplace_back(name);
    }
  }
  return known;
}

std::vector<std::string> ControllersOfRoot(const std::string& path) {
  std::vector<std::string> controllers;
  const auto text = ReadControl(AT_FDCWD, path + "/cgroup.controllers");
  if (!text.ok()) return controllers;
  for (const std::string_view name : core::StrSplit(*text, ' ')) {
    if (!name.empty()) controllers.emplace_back(name);
  }
  return controllers;
}

// The hierarchies mounted at or below `root`.
std::vector<CgroupHierarchy> MountedHierarchies(const std::vector<MountEntry>& mounts,
                                                const std::string& root) {
  std::vector<CgroupHierarchy> found;
  std::set<std::string> seen;
  for (const MountEntry& mount : mounts) {
    if (mount.target != root && !mount.target.starts_with(root + "/")) continue;
    CgroupHierarchy hierarchy{mount.target, mount.type == "cgroup2", {}};
    if (hierarchy.v2) {
      hierarchy.controllers = ControllersOfRoot(mount.target);
      if (!seen.insert("v2").second) continue;
    } else if (mount.type == "cgroup") {
      hierarchy.controllers = KnownControllers(core::StrSplit(mount.super_options, ','));
      // The same hierarchy may be mounted in several places.
      if (hierarchy.controllers.empty() || !seen.insert(hierarchy.controllers[0]).second) continue;
    } else {
      continue;
    }
    found.push_back(std::move(hierarchy));
  }
  return found;
}

// Directories laid out as the mounts would be: a test's.
StatusOr<std::vector<CgroupHierarchy>> HierarchiesByLayout(const std::string& root) {
  std::vector<CgroupHierarchy> found;
  MBX_ASSIGN_OR_RETURN(const core::RootDir dir, core::RootDir::Open(root));
  if (dir.Exists("cgroup.controllers")) {
    found.push_back({root, true, ControllersOfRoot(root)});
    return found;
  }
  MBX_ASSIGN_OR_RETURN(const std::vector<std::string> names, dir.List(""));
  for (const std::string& name : names) {
    const std::string path = root + "/" + name;
    if (dir.Exists(name + "/cgroup.controllers")) {
      found.push_back({path, true, ControllersOfRoot(path)});
    } else if (auto known = KnownControllers(core::StrSplit(name, ',')); !known.empty()) {
      found.push_back({path, false, std::move(known)});
    }
  }
  return found;
}

// On a hybrid host v2 is used if it has something that v1 has not.
bool NeedsV2(const std::vector<CgroupHierarchy>& hierarchies, const CgroupHierarchy& v2) {
  const auto on_v1 = [&](std::string_view name) {
    return std::any_of(hierarchies.begin(), hierarchies.end(), [&](const CgroupHierarchy& h) {
      return !h.v2 && Contains(h.controllers, name);
    });
  };
  if (!on_v1("freezer")) return true;
  return std::any_of(kResources.begin(), kResources.end(), [&](std::string_view resource) {
    return Contains(v2.controllers, CgroupV2().ControllerName(resource)) &&
           !on_v1(CgroupV1().ControllerName(resource));
  });
}

}  // namespace

StatusOr<std::unique_ptr<CgroupDriver>> MakeCgroupDriver(std::vector<CgroupHierarchy> hierarchies,
                                                         std::string_view parent,
                                                         std::shared_ptr<CgroupFs> fs) {
  PathComponents components;
  for (const std::string_view component : core::StrSplit(parent, '/')) {
    if (component.empty()) continue;
    MBX_RETURN_IF_ERROR(Driver::CheckName("cgroup_parent", component));
    components.emplace_back(component);
  }
  bool has_v1 = false, has_v2 = false;
  std::vector<std::string> controllers;
  Hierarchies used;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    (hierarchy.v2 ? has_v2 : has_v1) = true;
    controllers.insert(controllers.end(), hierarchy.controllers.begin(),
                       hierarchy.controllers.end());
    if (hierarchy.v2 && !NeedsV2(hierarchies, hierarchy)) continue;
    used.push_back({CgroupTree(hierarchy.path, components, fs),
                    hierarchy.v2 ? &CgroupV2() : &CgroupV1(), hierarchy.v2, hierarchy.controllers});
  }
  std::sort(controllers.begin(), controllers.end());
  const std::string_view version = has_v1 && has_v2 ? "hybrid" : has_v2 ? "v2" : "v1";
  return std::unique_ptr<CgroupDriver>(
      std::make_unique<Driver>(version, std::move(controllers), std::move(used)));
}

StatusOr<std::unique_ptr<CgroupDriver>> CgroupDriver::Detect(std::string_view parent,
                                                             std::string_view root) {
  const std::string path(root);
  MBX_ASSIGN_OR_RETURN(const std::vector<MountEntry> mounts, ReadMountTable());
  auto hierarchies = MountedHierarchies(mounts, path);
  if (hierarchies.empty()) {
    MBX_ASSIGN_OR_RETURN(hierarchies, HierarchiesByLayout(path));
  }
  return MakeCgroupDriver(std::move(hierarchies), parent, std::make_shared<CgroupFs>());
}

bool Cgroup::JoinDir::takes_newborns() const { return v2 && HostFeatures().clone_into_cgroup; }

StatusOr<core::Fd> Cgroup::JoinDir::OpenMembers() const {
  const char* const name = v2 ? "cgroup.procs" : "tasks";
  core::Fd file(openat(fd, name, O_WRONLY | O_CLOEXEC));
  if (!file.valid()) return core::SysError("openat", name);
  return file;
}

}  // namespace minibox::kernel
