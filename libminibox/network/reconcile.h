// SPDX-License-Identifier: Apache-2.0
// What differs between the records, the kernel and the containers that run.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "kernel/rtnetlink.h"
#include "network/state.h"

namespace minibox::network {

struct ReconcilePlan {
  std::vector<std::string> leases_to_drop{};  // container ids
  std::vector<std::string> links_to_delete{};
  // Of kept containers that have lost their links: (container, network).
  std::vector<std::pair<std::string, std::string>> links_to_make{};
};

// `kept`: ids of running containers and of those that start just now. Links of other state
// directories' bridges are none of ours.
ReconcilePlan PlanReconcile(const State& state, const std::vector<kernel::Link>& links,
                            const std::vector<std::string>& kept);

}  // namespace minibox::network
