// SPDX-License-Identifier: Apache-2.0
// The graph of dependencies of a project.
#include <algorithm>
#include <functional>
#include <set>

#include "compose/project.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

// Depth first, dependencies before dependents, in file order.
class Walk {
 public:
  Walk(const Project& project, bool dependencies)
      : project_(project), dependencies_(dependencies) {}

  Status Visit(const Service& service) {
    if (done_.count(service.name) != 0) return Status();
    const auto open = std::find(path_.begin(), path_.end(), service.name);
    if (open != path_.end()) {
      std::vector<std::string> cycle(open, path_.end());
      cycle.push_back(service.name);
      return core::Error(
          StatusCode::kInvalidArgument, "invalid_compose_file",
          core::StrCat("services depend on each other: ", core::StrJoin(cycle, " -> ")));
    }
    path_.push_back(service.name);
    if (dependencies_) {
      for (const Dependency& dependency : service.depends_on) {
        const Service* const needed = project_.Find(dependency.service);
        if (needed != nullptr) MBX_RETURN_IF_ERROR(Visit(*needed));
      }
    }
    path_.pop_back();
    done_.insert(service.name);
    order_.push_back(&service);
    return Status();
  }

  std::vector<const Service*> TakeOrder() { return std::move(order_); }

 private:
  const Project& project_;
  const bool dependencies_;
  std::set<std::string> done_;
  std::vector<std::string> path_;
  std::vector<const Service*> order_;
};

bool IsActive(const Service& service, const std::vector<std::string>& profiles) {
  if (service.profiles.empty()) return true;
  return std::any_of(profiles.begin(), profiles.end(), [&](const std::string& profile) {
    return profile == "*" || std::find(service.profiles.begin(), service.profiles.end(), profile) !=
                                 service.profiles.end();
  });
}

}  // namespace

Status CheckOrder(const Project& project) {
  Walk walk(project, /*dependencies=*/true);
  for (const Service& service : project.services) MBX_RETURN_IF_ERROR(walk.Visit(service));
  return Status();
}

StatusOr<std::vector<const Service*>> SelectServices(const Project& project,
                                                     const std::vector<std::string>& names,
                                                     const std::vector<std::string>& profiles,
                                                     bool dependencies) {
  for (const std::string& name : names) {
    if (project.Find(name) == nullptr) {
      return core::NotFound("service_not_found",
                            core::StrCat("there is no service '", core::EscapeControl(name),
                                         "' in project ", project.name));
    }
  }
  std::set<std::string> wanted;
  Walk selection(project, dependencies);
  for (const Service& service : project.services) {
    const bool named = std::find(names.begin(), names.end(), service.name) != names.end();
    if (names.empty() ? IsActive(service, profiles) : named) {
      MBX_RETURN_IF_ERROR(selection.Visit(service));
    }
  }
  for (const Service* service : selection.TakeOrder()) wanted.insert(service->name);
  // Also without them, what depends on another of the chosen comes after it.
  Walk all(project, /*dependencies=*/true);
  for (const Service& service : project.services) MBX_RETURN_IF_ERROR(all.Visit(service));
  std::vector<const Service*> order;
  for (const Service* service : all.TakeOrder()) {
    if (wanted.count(service->name) != 0) order.push_back(service);
  }
  return order;
}

}  // namespace minibox::compose
