// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "network/ipv6.h"

namespace minibox::network {
namespace {

Subnet6 Parsed(const char* text) {
  const auto subnet = ParseSubnet6(text);
  EXPECT_TRUE(subnet.ok()) << text << ": " << subnet.status().ToString();
  return subnet.ok() ? *subnet : Subnet6();
}

TEST(Ipv6, AddressesAreTextAndBack) {
  EXPECT_EQ(FormatIpv6(*ParseIpv6("FD00:0:0::1")), "fd00::1");
  for (const char* bad : {"", "1.2.3.4", "fd00::1%eth0", "[fd00::1]", "fd00::1 ", "fd00:::1"}) {
    EXPECT_FALSE(ParseIpv6(bad)) << bad;
  }
  EXPECT_FALSE(ParseIpv6(std::string_view("::1\0x", 5)));
}

TEST(Ipv6, ContainersHaveTheNumberOfTheirIpv4Address) {
  const Subnet6 subnet = Parsed("fd00:1:2:3::/64");
  EXPECT_EQ(FormatIpv6(subnet.gateway()), "fd00:1:2:3::1");
  EXPECT_EQ(FormatIpv6(subnet.HostFor(0x0a010203, {0x0a000000, 8})), "fd00:1:2:3::1:203");
  EXPECT_EQ(subnet.ToString(), "fd00:1:2:3::/64");
}

TEST(Ipv6, SubnetsOverlapIfOneContainsTheOther) {
  const Subnet6 wide = Parsed("fd00::/13"), narrow = Parsed("fd07::/64"),
                other = Parsed("fd08::/64");
  EXPECT_TRUE(wide.Contains(narrow.gateway()));
  EXPECT_TRUE(wide.Overlaps(narrow));
  EXPECT_TRUE(narrow.Overlaps(wide));
  EXPECT_FALSE(wide.Overlaps(other));
  EXPECT_FALSE(narrow.Overlaps(other));
}

TEST(Ipv6, WrongSubnetsAreRefused) {
  for (const char* bad : {"", "fd00::", "fd00::/", "fd00::/7", "fd00::/121", "fd00::1/64",
                          "fd00::/64 ", "10.0.0.0/24", "::/64", "::1/120", "fe80::/64", "ff02::/64",
                          "::ffff:0:0/96", "x/64", "fd00::/-1"}) {
    const auto subnet = ParseSubnet6(bad);
    ASSERT_FALSE(subnet.ok()) << bad;
    EXPECT_EQ(subnet.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(subnet.status().field(), "subnet6");
  }
}

TEST(Ipv6, RandomSubnetsAreUniqueLocal) {
  const Subnet6 one = RandomSubnet6(), two = RandomSubnet6();
  EXPECT_EQ(Parsed(one.ToString().c_str()), one);
  EXPECT_EQ(one.base[0], 0xfd);
  EXPECT_EQ(one.prefix_length, 64);
  EXPECT_FALSE(one == two);
}

TEST(Ipv6, LinkLocalAddressesAreThoseOfTheMac) {
  const Ipv6 address = LinkLocalFor({0x02, 0x4d, 0xac, 0x13, 0, 2});
  EXPECT_EQ(FormatIpv6(address), "fe80::4d:acff:fe13:2");
  EXPECT_TRUE(IsLinkLocal(address));
  EXPECT_FALSE(IsLinkLocal(*ParseIpv6("fec0::1")));
}

}  // namespace
}  // namespace minibox::network
