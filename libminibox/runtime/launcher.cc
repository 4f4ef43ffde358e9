// SPDX-License-Identifier: Apache-2.0
#include "runtime/launcher.h"

#include <fcntl.h>

#include "core/errors.h"
#include "core/status_macros.h"
#include "init/image.h"
#include "runtime/exec_process.h"
#include "runtime/launch_attempt.h"
#include "runtime/monitor_reaper.h"

namespace minibox::runtime {

struct Launcher::Impl {
  core::Fd image, null;
  std::shared_ptr<MonitorReaper> reaper = std::make_shared<MonitorReaper>();
};

Launcher::Launcher() : impl_(std::make_unique<Impl>()) {}
Launcher::~Launcher() = default;

StatusOr<std::unique_ptr<Launcher>> Launcher::Create() {
  std::unique_ptr<Launcher> launcher(new Launcher);
  MBX_ASSIGN_OR_RETURN(launcher->impl_->image, init::MakeInitImage());
  launcher->impl_->null.reset(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!launcher->impl_->null.valid()) return core::SysError("open", "/dev/null");
  return launcher;
}

StatusOr<Launched> Launcher::Launch(const init::LaunchSpec& spec, const LaunchFds& fds,
                                    const kernel::Cgroup& cgroup, bool capture,
                                    const LaunchHooks& hooks, std::stop_token stop) {
  impl_->reaper->Sweep();
  MBX_ASSIGN_OR_RETURN(StopEvent stop_event, StopEvent::Create(stop));
  LaunchAttempt attempt(std::move(stop_event), impl_->reaper);
  MBX_RETURN_IF_ERROR(attempt.Spawn(impl_->image.get(), impl_->null.get()));
  MBX_RETURN_IF_ERROR(attempt.SendSpec(spec, fds, cgroup, capture));
  MBX_ASSIGN_OR_RETURN(SetUp set_up, attempt.ReceiveSetUp());
  if (hooks.configure) MBX_RETURN_IF_ERROR(hooks.configure(set_up));
  return attempt.Release(std::move(set_up));
}

StatusOr<std::unique_ptr<ExecProcess>> Launcher::Exec(const init::LaunchSpec& spec, int pid1,
                                                      const kernel::Cgroup& cgroup,
                                                      kernel::CgroupChild group,
                                                      std::stop_token stop) {
  return ExecProcess::Run(
      spec, {impl_->image.get(), impl_->null.get(), impl_->reaper, pid1, &cgroup, std::move(group)},
      std::move(stop));
}

}  // namespace minibox::runtime
