// SPDX-License-Identifier: Apache-2.0
#include "runtime/exec_plan.h"

#include <algorithm>

#include "core/status_macros.h"
#include "kernel/capabilities.h"
#include "runtime/launch_plan.h"
#include "runtime/mount_options.h"
#include "runtime/spec_resolve.h"

namespace minibox::runtime {

StatusOr<init::LaunchSpec> PlanExec(const ContainerConfig& config, const ContainerId& id,
                                    const IdRange& ids, const ExecSpec& exec,
                                    const HostFacts& host) {
  // By the function that planned the container, so that nothing can be forgotten here.
  MBX_ASSIGN_OR_RETURN(LaunchPlan plan, PlanLaunch(config, id, {}, host));
  if (ids.count > 0) {
    SetIdRange(ids, plan);
  } else {
    (void)SetHostIds(config.spec.security, host, plan,
                     config.spec.db_mode);  // its warnings are the container's
  }
  init::LaunchSpec spec = std::move(plan.spec);
  // The container has these already.
  spec.mounts.clear();
  spec.lowers.clear();
  spec.masked_paths.clear();
  spec.read_only_paths.clear();
  spec.sysctls.clear();
  spec.init = spec.log = spec.record_exit = false;
  spec.timeout_ms = 0;

  spec.argv = exec.command;
  spec.env = MergeEnvironment(spec.env, exec.env);
  const bool has_term =
      std::any_of(spec.env.begin(), spec.env.end(),
                  [](const std::string& variable) { return variable.starts_with("TERM="); });
  if (exec.tty && !has_term) spec.env.push_back("TERM=xterm");
  if (!exec.working_dir.empty()) spec.working_dir = *CleanPath(exec.working_dir);
  if (!exec.user.empty()) spec.user = exec.user;
  if (exec.privileged) {
    spec.capabilities = kernel::AllCapabilities();
    if (!spec.user_namespace) spec.capabilities &= host.capabilities;
    spec.no_new_privs = false;
    spec.seccomp_program.clear();
  }
  spec.tty = exec.tty;
  spec.open_stdin = exec.open_stdin;
  spec.detached = exec.detached;
  spec.rows = exec.size.rows;
  spec.cols = exec.size.cols;
  return spec;
}

}  // namespace minibox::runtime
