// SPDX-License-Identifier: Apache-2.0
#include "network/reconcile.h"

#include <gtest/gtest.h>

#include "network/bridge.h"
#include "network/firewall.h"

namespace minibox::network {
namespace {

kernel::Link OurLink(std::string_view container) {
  kernel::Link link;
  link.name = HostLinkName(container);
  link.kind = "veth";
  link.group = kContainerLinkGroup;
  return link;
}

TEST(PlanReconcile, DropsWhatNoContainerHas) {
  State state;
  state.networks.resize(1);
  state.networks[0].leases = {{"aaaaaaaa", 1, {}}, {"bbbbbbbb", 2, {}}};
  kernel::Link foreign = OurLink("cccccccc");
  foreign.group = 0;
  const ReconcilePlan plan =
      PlanReconcile(state, {OurLink("aaaaaaaa"), OurLink("bbbbbbbb"), OurLink("dddddddd"), foreign},
                    {"bbbbbbbb"});
  EXPECT_EQ(plan.leases_to_drop, std::vector<std::string>{"aaaaaaaa"});
  EXPECT_EQ(plan.links_to_delete,
            (std::vector<std::string>{HostLinkName("aaaaaaaa"), HostLinkName("dddddddd")}));
}

TEST(HostLinkName, FitsAnInterfaceName) {
  EXPECT_EQ(HostLinkName("ab12cd34"), "veth-ab12cd34");
  const std::string longer = HostLinkName("build-ab12cd34-step-1");
  EXPECT_LE(longer.size(), 15u);
  EXPECT_NE(longer, HostLinkName("build-ab12cd34-step-2"));
}

}  // namespace
}  // namespace minibox::network
