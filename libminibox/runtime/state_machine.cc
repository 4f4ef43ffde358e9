// SPDX-License-Identifier: Apache-2.0
#include "runtime/state_machine.h"

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::runtime {
namespace {

Status BeingRemoved(const ContainerInfo& info) {
  return core::NotFound("container_not_found",
                        core::StrCat("container ", info.id.ToString(), " is being removed"));
}

Status Running(const ContainerInfo& info) {
  return core::FailedPrecondition("container_running",
                                  core::StrCat("container ", info.id.ToString(), " is running"));
}

}  // namespace

bool IsLive(ContainerState state) {
  return state == ContainerState::kRunning || state == ContainerState::kPaused;
}

Status CheckCanStart(const ContainerInfo& info) {
  if (info.state == ContainerState::kRemoving) return BeingRemoved(info);
  return IsLive(info.state) ? Running(info) : Status();
}

Status CheckCanSignal(const ContainerInfo& info) {
  if (IsLive(info.state)) return Status();
  return core::FailedPrecondition(
      "container_not_running", core::StrCat("container ", info.id.ToString(), " is not running"));
}

Status CheckCanExec(const ContainerInfo& info) { return CheckCanPause(info); }

Status CheckCanPause(const ContainerInfo& info) {
  MBX_RETURN_IF_ERROR(CheckCanSignal(info));
  if (info.state != ContainerState::kPaused) return Status();
  return core::FailedPrecondition("container_paused",
                                  core::StrCat("container ", info.id.ToString(), " is paused"));
}

Status CheckCanUnpause(const ContainerInfo& info) {
  MBX_RETURN_IF_ERROR(CheckCanSignal(info));
  return info.state == ContainerState::kPaused ? Status() : Running(info);
}

Status CheckCanRemove(const ContainerInfo& info, bool force) {
  return IsLive(info.state) && !force ? Running(info) : Status();
}

}  // namespace minibox::runtime
