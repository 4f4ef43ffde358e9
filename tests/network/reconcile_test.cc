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
  link.master = 7;
  return link;
}

TEST(PlanReconcile, DropsWhatNoContainerHas) {
  State state;
  state.networks.resize(1);
  state.networks[0].bridge = "minibox0";
  state.networks[0].leases = {{"aaaaaaaa", 1, {}}, {"bbbbbbbb", 2, {}}};
  kernel::Link foreign = OurLink("cccccccc"), bridge, others = OurLink("eeeeeeee");
  foreign.group = 0;
  bridge.name = "minibox0";
  bridge.kind = "bridge";
  bridge.index = 7;
  others.master = 8;  // of another state directory
  const ReconcilePlan plan = PlanReconcile(
      state,
      {OurLink("aaaaaaaa"), OurLink("bbbbbbbb"), OurLink("dddddddd"), foreign, bridge, others},
      {"bbbbbbbb", "ffffffff"});
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
