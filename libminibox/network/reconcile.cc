// SPDX-License-Identifier: Apache-2.0
#include "network/reconcile.h"

#include <algorithm>
#include <unordered_set>

#include "network/bridge.h"
#include "network/firewall.h"

namespace minibox::network {

ReconcilePlan PlanReconcile(const State& state, const std::vector<kernel::Link>& links,
                            const std::vector<std::string>& kept) {
  const std::unordered_set<std::string> running(kept.begin(), kept.end());
  std::unordered_set<std::string> running_links, dropped_links, there;
  std::unordered_set<int> bridges;
  for (const kernel::Link& link : links) {
    there.insert(link.name);
    if (std::any_of(state.networks.begin(), state.networks.end(),
                    [&](const auto& network) { return network.bridge == link.name; })) {
      bridges.insert(link.index);
    }
  }

  ReconcilePlan plan;
  for (const NetworkRecord& network : state.networks) {
    for (const Lease& lease : network.leases) {
      const std::string link = HostLinkName(lease.container, lease.index);
      if (!running.contains(lease.container)) {
        if (std::find(plan.leases_to_drop.begin(), plan.leases_to_drop.end(), lease.container) ==
            plan.leases_to_drop.end()) {
          plan.leases_to_drop.push_back(lease.container);
        }
        dropped_links.insert(link);
        continue;
      }
      running_links.insert(link);
      if (!there.contains(link)) plan.links_to_make.emplace_back(lease.container, network.name);
    }
  }
  for (const kernel::Link& link : links) {
    // The group tells our links from those of others with a similar name.
    if (link.group == kContainerLinkGroup && link.kind == "veth" &&
        !running_links.contains(link.name) &&
        (bridges.contains(link.master) || dropped_links.contains(link.name))) {
      plan.links_to_delete.push_back(link.name);
    }
  }
  return plan;
}

}  // namespace minibox::network
