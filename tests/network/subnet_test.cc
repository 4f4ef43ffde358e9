// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>

#include "network/bridge.h"

namespace minibox::network {
namespace {

kernel::Route To(std::string_view subnet, int link) {
  kernel::Route route;
  const size_t slash = subnet.find('/');
  route.destination = *ParseIpv4(subnet.substr(0, slash));
  route.prefix_length = std::stoi(std::string(subnet.substr(slash + 1)));
  route.link = link;
  route.type = RTN_UNICAST;
  route.table = RT_TABLE_MAIN;
  return route;
}

HostRoutes Host(std::vector<kernel::Route> routes) {
  HostRoutes host;
  host.routes = std::move(routes);
  kernel::Link eth0, vpn;
  eth0.index = 2;
  eth0.name = "eth0";
  eth0.mtu = 1400;
  vpn.index = 3;
  vpn.name = "vpn0";
  vpn.mtu = 1300;
  host.links = {eth0, vpn};
  return host;
}

const Subnet kConfigured = {0xac130000, 24};

TEST(ChooseSubnet, ConfiguredIfFree) {
  const auto host = Host({To("0.0.0.0/0", 2), To("192.0.2.0/24", 2), To("128.0.0.0/1", 3)});
  EXPECT_EQ(*ChooseSubnet(host, kConfigured, {}), kConfigured);
}

TEST(ChooseSubnet, NextOfThePoolIfARouteOverlaps) {
  const auto host = Host({To("172.19.0.128/25", 3), To("172.19.1.7/32", 2)});
  EXPECT_EQ(host.Conflict(kConfigured), "vpn0");
  EXPECT_EQ(ChooseSubnet(host, kConfigured, {})->ToString(), "172.19.2.0/24");
}

TEST(ChooseSubnet, KeepsAnEarlierChoice) {
  const auto host = Host({To("172.19.0.0/24", 3)});
  EXPECT_EQ(ChooseSubnet(host, kConfigured, {0x0adb0700, 24})->ToString(), "10.219.7.0/24");
}

TEST(ChooseSubnet, SecondPoolIfTheFirstIsTaken) {
  const auto host = Host({To("172.16.0.0/12", 3)});
  EXPECT_EQ(ChooseSubnet(host, kConfigured, {})->ToString(), "10.219.0.0/24");
}

TEST(ChooseSubnet, NoneLeftNamesTheInterface) {
  const auto host = Host({To("172.16.0.0/12", 3), To("10.0.0.0/8", 2)});
  const auto chosen = ChooseSubnet(host, kConfigured, {});
  ASSERT_FALSE(chosen.ok());
  EXPECT_EQ(chosen.status().reason(), "subnet_conflict");
  EXPECT_NE(chosen.status().message().find("vpn0"), std::string::npos);
}

TEST(HostRoutes, MtuIsThatOfTheBestDefaultRoute) {
  kernel::Route vpn = To("0.0.0.0/0", 3), eth = To("0.0.0.0/0", 2);
  vpn.priority = 50;
  eth.priority = 100;
  EXPECT_EQ(Host({eth, vpn}).DefaultRouteMtu(), 1300u);
  EXPECT_EQ(Host({eth}).DefaultRouteMtu(), 1400u);
  EXPECT_EQ(Host({}).DefaultRouteMtu(), 1500u);
}

}  // namespace
}  // namespace minibox::network
