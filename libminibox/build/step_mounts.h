// SPDX-License-Identifier: Apache-2.0
// Puts together what a RUN's mounts show: caches, secrets, copies of what is bound (spec §7.8).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "build/build_state.h"
#include "build/copy_plan.h"
#include "build/plan.h"
#include "minibox/status.h"
#include "store/cache_mounts.h"

namespace minibox::build {

// A pattern that stands for this path only.
std::string LiteralPattern(const std::string& path);

// Reads what the bind mounts of `action` show, one plan each in their order.
StatusOr<std::vector<CopyPlan>> PlanBinds(BuildState& state, const Action& action);

// All that the mounts of one step need while it runs. The directory of `operation` gets copies.
class StepMounts {
 public:
  // `binds` as PlanBinds gave them. kFailedPrecondition for a secret that the request lacks.
  static StatusOr<StepMounts> Prepare(BuildState& state, const Action& action,
                                      const std::vector<CopyPlan>& binds,
                                      const store::OperationDir& operation);
  // For StepRequest; descriptors stay with this.
  std::vector<StepMountPoint> points() const;
  // Secrets as variables.
  const std::vector<std::string>& env() const { return env_; }

 private:
  struct Prepared {
    StepMountPoint point;
    core::Fd source{};
  };
  std::vector<Prepared> mounts_;
  std::vector<store::CacheMount> caches_;
  std::vector<std::string> env_;
};

}  // namespace minibox::build
