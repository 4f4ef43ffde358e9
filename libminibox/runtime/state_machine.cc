// SPDX-License-Identifier: Apache-2.0
#include "runtime/state_machine.h"

#include "core/errors.h"
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

Status CheckCanRemove(const ContainerInfo& info, bool force) {
  return IsLive(info.state) && !force ? Running(info) : Status();
}

}  // namespace minibox::runtime
