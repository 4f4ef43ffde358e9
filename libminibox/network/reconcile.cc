// SPDX-License-Identifier: Apache-2.0
#include "network/reconcile.h"

#include <unordered_set>

#include "network/bridge.h"
#include "network/firewall.h"

namespace minibox::network {

ReconcilePlan PlanReconcile(const State& state, const std::vector<kernel::Link>& links,
                            const std::vector<std::string>& kept) {
  const std::unordered_set<std::string> running(kept.begin(), kept.end());
  std::unordered_set<std::string> running_links;
  for (const std::string& container : kept) running_links.insert(HostLinkName(container));

  ReconcilePlan plan;
  for (const NetworkRecord& network : state.networks) {
    for (const Lease& lease : network.leases) {
      if (!running.contains(lease.container)) plan.leases_to_drop.push_back(lease.container);
    }
  }
  for (const kernel::Link& link : links) {
    // The group tells our links from those of others with a similar name.
    if (link.group == kContainerLinkGroup && link.kind == "veth" &&
        !running_links.contains(link.name)) {
      plan.links_to_delete.push_back(link.name);
    }
  }
  return plan;
}

}  // namespace minibox::network
