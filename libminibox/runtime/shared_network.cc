// SPDX-License-Identifier: Apache-2.0
// Network "container:<id>": the network and the user namespace of a running container, for a
// process whose capabilities are those of that user namespace (spec §13.1).
#include <optional>

#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "runtime/monitor_identity.h"
#include "runtime/runtime_impl.h"
#include "runtime/spec_validate.h"
#include "runtime/state_machine.h"

namespace minibox {
inline namespace v1 {

namespace {

constexpr const char* kField = "network";

Status OwnerNotRunning(const std::string& owner) {
  return core::FailedPrecondition(
             "container_not_running",
             core::StrCat("container ", owner, ", whose network is asked for, is not running"))
      .WithField(kField);
}

}  // namespace

Status Runtime::Impl::ResolveSharedNetwork(ContainerSpec& spec) const {
  const auto named = runtime::JoinedContainer(spec.network);
  if (!named) return Status();
  const auto id = Find(*named);
  if (!id.ok()) return id.status().WithField(kField);
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerDir dir,
                       runtime::ContainerDir::Open(*images->root, *id));
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerConfig config, dir.ReadConfig());
  // One that shares another's has none of its own.
  spec.network = core::StrCat(
      "container:", runtime::JoinedContainer(config.spec.network).value_or(id->ToString()));
  return Status();
}

StatusOr<std::optional<Runtime::Impl::Sharing>> Runtime::Impl::ShareNetwork(
    const ContainerSpec& spec, const std::string& owner) const {
  const auto named = runtime::JoinedContainer(spec.network);
  if (!named) return std::optional<Sharing>();
  MBX_ASSIGN_OR_RETURN(const ContainerId id, ContainerId::Parse(*named));
  const auto dir = runtime::ContainerDir::Open(*images->root, id);
  if (!dir.ok()) return dir.status().WithField(kField);
  // Without its lock: two that share with each other's neighbours must not wait for each other.
  MBX_ASSIGN_OR_RETURN(const runtime::ContainerRecord record, dir->ReadRecord());
  if (!runtime::IsLive(record.info.state)) return OwnerNotRunning(*named);
  auto pid1 = OpenPid1(record);
  if (!pid1.ok()) {
    return pid1.status().reason() == "container_not_running" ? OwnerNotRunning(*named)
                                                             : pid1.status();
  }
  if (record.ids.count > 0) {
    MBX_RETURN_IF_ERROR(id_ranges.Join(owner, record.ids));
    // Had it ended before, the range might be somebody else's already.
    if (runtime::HasEnded(pid1->get())) return OwnerNotRunning(*named);
  }
  return std::optional<Sharing>(Sharing{std::move(*pid1), record.ids});
}

}  // namespace v1
}  // namespace minibox
