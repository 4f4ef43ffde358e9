// SPDX-License-Identifier: Apache-2.0
#include "runtime/launcher.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>

#include "core/errors.h"
#include "core/file.h"
#include "core/status_macros.h"
#include "init/embedded.h"
#include "runtime/exec_process.h"
#include "runtime/launch_attempt.h"
#include "runtime/monitor_reaper.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

namespace minibox::runtime {
namespace {

// A file without name that nobody can change, a container that finds it in /proc/1/exe
// included (CVE-2019-5736).
StatusOr<core::Fd> MakeImage() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  core::Fd image(memfd_create("minibox-init", kFlags | MFD_EXEC));
  // Before 6.3 every memfd is executable and the flag unknown.
  if (!image.valid() && errno == EINVAL) image.reset(memfd_create("minibox-init", kFlags));
  if (!image.valid()) return core::SysError("memfd_create", "minibox-init");
  MBX_RETURN_IF_ERROR(core::WriteAll(image.get(), init::EmbeddedInit()));
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (fcntl(image.get(), F_ADD_SEALS, kSeals) != 0) {
    return core::SysError("fcntl F_ADD_SEALS", "minibox-init");
  }
  return image;
}

}  // namespace

struct Launcher::Impl {
  core::Fd image, null;
  std::shared_ptr<MonitorReaper> reaper = std::make_shared<MonitorReaper>();
};

Launcher::Launcher() : impl_(std::make_unique<Impl>()) {}
Launcher::~Launcher() { impl_->reaper->Sweep(); }

StatusOr<std::unique_ptr<Launcher>> Launcher::Create() {
  std::unique_ptr<Launcher> launcher(new Launcher);
  MBX_ASSIGN_OR_RETURN(launcher->impl_->image, MakeImage());
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
