// SPDX-License-Identifier: Apache-2.0
// Processes in containers that run (spec §12.14).
//
// Only the look at the container happens under its lock; the process itself is started without,
// so that a container that holds it up cannot hold up its own end.
#include <fcntl.h>

#include "core/errors.h"
#include "core/file.h"
#include "core/id.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "core/syscalls.h"
#include "runtime/container_events.h"
#include "runtime/exec_plan.h"
#include "runtime/exec_session.h"
#include "runtime/monitor_identity.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_validate.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr size_t kGroupDigits = 8;
constexpr size_t kMaxStat = 4096;
constexpr int kEndTimeoutMs = 1000;

// The parent of a process; 0 if there is no such process.
int64_t ParentOf(int pid) {
  const auto text = core::ReadFileAt(AT_FDCWD, core::StrCat("/proc/", pid, "/stat"), kMaxStat);
  const size_t close = text.ok() ? text->rfind(')') : std::string::npos;
  if (close == std::string::npos) return 0;
  // "(command) state parent"
  const auto fields = core::StrSplit(std::string_view(*text).substr(close + 1), ' ');
  return fields.size() > 2 ? core::ParseInt64(fields[2]).value_or(0) : 0;
}

}  // namespace

StatusOr<core::Fd> Runtime::Impl::OpenPid1(const runtime::ContainerRecord& record) const {
  const auto gone = [&] {
    return core::FailedPrecondition(
        "container_not_running",
        core::StrCat("container ", record.info.id.ToString(), " is not running"));
  };
  core::Fd pidfd(core::sys::PidfdOpen(record.info.pid));
  if (!pidfd.valid()) return errno == ESRCH ? gone() : core::SysError("pidfd_open", "PID 1");
  // The number may be another process's by now, but a living monitor has no other child.
  const bool same = record.boot_id == boot_id_ && runtime::IsAlive(record.monitor) &&
                    ParentOf(record.info.pid) == record.monitor.pid;
  if (!same || runtime::HasEnded(pidfd.get())) return gone();
  return pidfd;
}

StatusOr<std::unique_ptr<Process::Impl>> Runtime::Impl::StartExec(const ContainerId& id,
                                                                  const ExecSpec& exec,
                                                                  Announced announced,
                                                                  std::stop_token stop) {
  MBX_RETURN_IF_ERROR(runtime::ValidateExec(exec));
  runtime::ContainerConfig config;
  ContainerInfo info{.id = id};
  runtime::IdRange ids;
  core::Fd pid1;
  std::unique_ptr<kernel::Cgroup> cgroup;
  kernel::CgroupChild group;
  {
    MBX_ASSIGN_OR_RETURN(const Locked container, Lock(id, stop));
    MBX_RETURN_IF_ERROR(runtime::CheckCanExec(container.record.info));
    MBX_ASSIGN_OR_RETURN(config, container.dir.ReadConfig());
    info = container.record.info;
    ids = container.record.ids;
    MBX_ASSIGN_OR_RETURN(pid1, OpenPid1(container.record));
    MBX_ASSIGN_OR_RETURN(cgroup, cgroups->Open(id.ToString()));
    MBX_ASSIGN_OR_RETURN(group, kernel::CgroupChild::Make(
                                    *cgroup, core::StrCat("exec-", core::RandomHex(kGroupDigits))));
  }
  MBX_ASSIGN_OR_RETURN(init::LaunchSpec spec, runtime::PlanExec(config, id, ids, exec, host));
  spec.id = group.name();
  auto process = launcher->Exec(spec, pid1.get(), *cgroup, std::move(group), stop);
  if (!process.ok()) {
    // PID 1 on its way out takes nobody in any more, and is seen to have ended a little later.
    const bool strange = process.status().reason() == "start_failed";
    if (runtime::HasEnded(pid1.get(), strange ? kEndTimeoutMs : 0) &&
        process.status().code() != StatusCode::kCancelled) {
      return core::FailedPrecondition("container_not_running",
                                      core::StrCat("container ", id.ToString(), " is not running"));
    }
    return process.status();
  }
  runtime::ExecSession::EndFn ended;
  if (announced == Announced::kYes) {
    Emit("container.exec_start", info, {{"exec", spec.id}});
    // Nobody waits for a detached one.
    if (!exec.detached) {
      ended = [store = images, info, name = spec.id](const ExitStatus& exit) {
        Labels more = runtime::ExitAttributes(exit);
        more["exec"] = name;
        runtime::EmitContainerEvent(*store->root, "container.exec_die", info, std::move(more),
                                    exit.at);
      };
    }
  }
  MBX_ASSIGN_OR_RETURN(
      auto session, runtime::ExecSession::Create(std::move(*process), exec.tty, std::move(ended)));
  return std::unique_ptr<Process::Impl>(std::move(session));
}

}  // namespace v1
}  // namespace minibox
