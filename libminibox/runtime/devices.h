// SPDX-License-Identifier: Apache-2.0
// Devices of a container (spec §12.5): the entries of the request, and the rules of the filter.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "kernel/device_filter.h"
#include "minibox/runtime.h"
#include "minibox/status.h"
#include "runtime/container_dir.h"
#include "runtime/mount_plan.h"

namespace minibox::runtime {

// "/dev/x[:/dev/y[:rwm]]".
struct DeviceEntry {
  std::string host{}, target{};  // target: a clean path below /dev
  bool read = true, write = true, mknod = true;
};
// kInvalidArgument with `field`.
StatusOr<DeviceEntry> ParseDevice(std::string_view text, std::string_view field);

// A node of the host that the container gets.
struct DeviceNode {
  std::string host{}, target{};
  kernel::DeviceRule rule{};
  mode_t mode = 0;  // type and permissions, owner: of the host's node
  uid_t uid = 0;
  gid_t gid = 0;
  dev_t number = 0;
  std::string field{};
};
// The nodes behind the entries, those of directories one by one. kInvalidArgument names the entry
// that is absent, or no device.
StatusOr<std::vector<DeviceNode>> FindDevices(const std::vector<std::string>& entries);

// What every container may use, and `nodes`.
std::vector<kernel::DeviceRule> DeviceRules(const std::vector<DeviceNode>& nodes);

// Makes nodes of its own in the container's directory, so that ids can be mapped; where devices
// do not work there, the plan keeps the host's. `sources` and `ops` get one bind each.
Status PlanDevices(const ContainerDir& dir, const std::vector<DeviceNode>& nodes,
                   std::vector<init::MountOp>& ops, std::vector<BindSource>& sources);

}  // namespace minibox::runtime
