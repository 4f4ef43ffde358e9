// SPDX-License-Identifier: Apache-2.0
#include "network/ipv4.h"

#include <gtest/gtest.h>

namespace minibox::network {
namespace {

TEST(Ipv4, ParsesOnlyFourDecimalParts) {
  EXPECT_EQ(ParseIpv4("172.19.0.2"), 0xac130002u);
  EXPECT_EQ(ParseIpv4("0.0.0.0"), 0u);
  for (const char* bad : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", " 1.2.3.4", "1.2.3.4 ", "::1",
                          "1.2.3.4/8", "0x1.2.3.4"}) {
    EXPECT_FALSE(ParseIpv4(bad).has_value()) << bad;
  }
  EXPECT_FALSE(ParseIpv4(std::string_view("1.2.3.4\0x", 9)).has_value());
}

TEST(Ipv4, FormatsWhatItParsed) {
  for (const char* text : {"0.0.0.0", "255.255.255.255", "10.219.3.77"}) {
    EXPECT_EQ(FormatIpv4(*ParseIpv4(text)), text);
  }
}

TEST(Subnet, HasGatewayAndRangeForContainers) {
  const auto subnet = ParseSubnet("172.19.0.0/24");
  ASSERT_TRUE(subnet.ok());
  EXPECT_EQ(FormatIpv4(subnet->gateway()), "172.19.0.1");
  EXPECT_EQ(FormatIpv4(subnet->first()), "172.19.0.2");
  EXPECT_EQ(FormatIpv4(subnet->last()), "172.19.0.254");
  EXPECT_EQ(FormatIpv4(subnet->broadcast()), "172.19.0.255");
  EXPECT_EQ(subnet->ToString(), "172.19.0.0/24");
}

TEST(Subnet, RefusesWhatCannotBeOne) {
  for (const char* bad : {"", "172.19.0.0", "172.19.0.0/", "172.19.0.0/30", "172.19.0.0/7",
                          "172.19.0.1/24", "172.19.0.0/24x", "x/24", "172.19.0.0/-1"}) {
    const auto subnet = ParseSubnet(bad);
    ASSERT_FALSE(subnet.ok()) << bad;
    EXPECT_EQ(subnet.status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(subnet.status().field(), "subnet");
  }
}

TEST(Subnet, OverlapsWhenOneContainsTheOther) {
  const Subnet small = *ParseSubnet("172.19.5.0/24"), large = *ParseSubnet("172.16.0.0/12"),
               other = *ParseSubnet("172.19.6.0/24");
  EXPECT_TRUE(small.Overlaps(large));
  EXPECT_TRUE(large.Overlaps(small));
  EXPECT_FALSE(small.Overlaps(other));
  EXPECT_TRUE(small.Overlaps({0, 0}));
}

TEST(Mac, CarriesTheAddress) {
  const std::string text = FormatMac(MacFor(*ParseIpv4("172.19.0.255")));
  EXPECT_EQ(text, "02:4d:ac:13:00:ff");
  EXPECT_EQ(ParseMac(text), MacFor(*ParseIpv4("172.19.0.255")));
  for (const char* bad :
       {"", "02:4d:ac:13:00", "02-4d-ac-13-00-ff", "02:4d:ac:13:00:fg", "02:4d:ac:13:00:ff:11"}) {
    EXPECT_FALSE(ParseMac(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace minibox::network
