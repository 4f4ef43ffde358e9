// SPDX-License-Identifier: Apache-2.0
// Opens what a launch plan binds.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "core/fd.h"
#include "core/file_lock.h"
#include "minibox/status.h"
#include "runtime/container_dir.h"
#include "runtime/host_facts.h"
#include "runtime/launch_plan.h"
#include "store/data_root.h"
#include "store/volumes.h"

namespace minibox::runtime {

struct OpenedBinds {
  std::vector<core::Fd> fds{};
  // Of volumes that are filled by this start: two at once would both find them empty.
  std::vector<core::FileLock> volume_locks{};
  std::vector<std::string> made_directories{};  // host paths that did not exist
  // Why the container cannot have an id range of its own; empty: it can.
  std::string id_map_obstacle{};
};

// Creates missing volumes and, where the plan says so, host directories; volumes that hold
// something already lose `copy_up` in `plan`. Follows spec §3 for host paths: what is checked
// is what has been opened. kInvalidArgument names the mount.
Status OpenBinds(const HostFacts& host, const store::DataRoot& root, const store::Volumes& volumes,
                 const ContainerDir& container, const std::stop_token& stop, LaunchPlan& plan,
                 OpenedBinds& opened);

// Removes the directories that were made for a start that failed, if nobody has used them.
void RemoveMadeDirectories(const OpenedBinds& opened);

}  // namespace minibox::runtime
