// SPDX-License-Identifier: Apache-2.0
// The plan as a value; what it does to packets is in publish_test.cc.
#include "network/firewall.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace minibox::network {
namespace {

State WithLeases(std::vector<Lease> leases) {
  NetworkRecord network;
  network.name = "bridge";
  network.bridge = "minibox0";
  network.configured = network.subnet = {0xac130000, 24};
  network.leases = std::move(leases);
  return {{network}};
}

const kernel::NftSet& Set(const std::vector<kernel::NftTable>& tables, std::string_view name) {
  static const kernel::NftSet kNone;
  for (const auto& table : tables) {
    for (const auto& set : table.sets) {
      if (set.name == name) return set;
    }
  }
  ADD_FAILURE() << "no set " << name;
  return kNone;
}

TEST(PlanFirewall, ContainersAreOnlyElements) {
  const auto none = PlanFirewall(WithLeases({}));
  const auto two = PlanFirewall(WithLeases(
      {{"aaaaaaaa", 0xac130002, {{"", 8080, 80, PortMapping::Protocol::kTcp}}},
       {"bbbbbbbb", 0xac130003, {{"127.0.0.1", 53, 5353, PortMapping::Protocol::kUdp}}}}));
  ASSERT_EQ(none.size(), two.size());
  for (size_t i = 0; i < none.size(); ++i) {
    EXPECT_EQ(none[i].name, "minibox");
    EXPECT_EQ(none[i].rules.size(), two[i].rules.size());
  }
  EXPECT_TRUE(Set(none, "endpoints").elements.empty());
  EXPECT_EQ(Set(two, "endpoints").elements.size(), 2u);
  EXPECT_EQ(Set(none, "bridges").elements.size(), 1u);
}

TEST(PlanFirewall, PublishedPortIsAMapElement) {
  const auto tables =
      PlanFirewall(WithLeases({{"aaaaaaaa",
                                0xac130002,
                                {{"", 8080, 80, PortMapping::Protocol::kTcp},
                                 {"127.0.0.1", 53, 5353, PortMapping::Protocol::kUdp}}}}));
  const auto& all = Set(tables, "published").elements;
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].key, std::string("\x06\0\0\0\x1f\x90\0\0", 8));
  EXPECT_EQ(all[0].value, std::string("\xac\x13\0\x02\0\x50\0\0", 8));
  const auto& one = Set(tables, "published-on").elements;
  ASSERT_EQ(one.size(), 1u);
  EXPECT_EQ(one[0].key, std::string("\x7f\0\0\x01\x11\0\0\0\0\x35\0\0", 12));
}

TEST(PlanFirewall, RulesOfAChainHaveDifferentNames) {
  State state = WithLeases({});
  state.networks.push_back(state.networks[0]);
  state.networks[1].name = "other";
  state.networks[1].bridge = "mb-01234567";
  for (const auto& table : PlanFirewall(state)) {
    std::vector<std::string> names;
    for (const auto& rule : table.rules) names.push_back(rule.chain + "/" + rule.comment);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(std::unique(names.begin(), names.end()), names.end());
  }
}

}  // namespace
}  // namespace minibox::network
